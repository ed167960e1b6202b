import assert from "node:assert/strict";
import fc from "fast-check";
import { certificateToPem, pemToCertificates, pemToPrivateKey, privateKeyToPem } from "./mod.ts";

Deno.test("PEM gives back what was put in, a chain in its order", () => {
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 });
  fc.assert(fc.property(bytes, bytes, (first, second) => {
    const pem = certificateToPem(first) + certificateToPem(second);
    const expected = [first, second].map((part) => [...part]);
    assert.deepEqual(pemToCertificates(pem).map((part) => [...part]), expected);
    assert.deepEqual(
      pemToCertificates(`\n${pem.replaceAll("\n", "\r\n")} `).map((part) => [...part]),
      expected,
    );
    assert.deepEqual([...pemToPrivateKey(privateKeyToPem(first))], [...first]);
  }));
});

Deno.test("PEM lines have 64 characters", () => {
  const lines = certificateToPem(new Uint8Array(100)).split("\n");
  assert.deepEqual(lines.map((line) => line.length), [27, 64, 64, 8, 25, 0]);
});

Deno.test("PEM refuses other texts, and never quotes them", () => {
  const key = privateKeyToPem(new Uint8Array(40).fill(0xaa));
  const certificate = certificateToPem(new Uint8Array(40).fill(0xaa));
  const wrong: readonly (() => unknown)[] = [
    () => pemToCertificates(""),
    () => pemToCertificates(key),
    () => pemToCertificates(certificate + key),
    () => pemToCertificates(certificate.slice(0, -5)),
    () => pemToCertificates(`x${certificate}`),
    () => pemToCertificates(certificate.replace("BEGIN CERTIFICATE", "BEGIN CERTIFICAT_")),
    () => pemToCertificates(certificate.replace("qqqq", "qq*q")),
    () => pemToCertificates("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"),
    () => pemToPrivateKey(certificate),
    () => pemToPrivateKey(key + key),
    () => pemToPrivateKey(key.replace("qqqq", "qqq")),
  ];
  for (const read of wrong) {
    assert.throws(read, (error) => {
      assert(error instanceof TypeError);
      assert(!error.message.includes("qqq"));
      return true;
    });
  }
});
