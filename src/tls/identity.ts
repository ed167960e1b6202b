/** With what this process shows who it is. */
export interface TlsIdentity {
  /** PKCS #8 */
  readonly privateKeyPem: string;
  /** The node's certificate first, then those between it and a root, if there are any. */
  readonly certificatePem: string;
}
