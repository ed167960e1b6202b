import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey } from "node:crypto";
import { concatBytes } from "../base/mod.ts";
import { checkCsr, createKeyAndCsr, type CsrRejectedCode, CsrRejectedError } from "./mod.ts";
import { hex, makeKey, signWith, tlv } from "./testing/forge.ts";
import { opensslOk, withFiles } from "./testing/openssl.ts";

const made = createKeyAndCsr();

function rejects(der: Uint8Array, code: CsrRejectedCode): void {
  assert.throws(() => checkCsr(der), (error) => {
    assert(error instanceof CsrRejectedError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}

/** A request that openssl makes with these arguments, DER. */
async function opensslCsr(...args: string[]): Promise<Uint8Array> {
  let csr = new Uint8Array();
  await withFiles({}, async (directory) => {
    await opensslOk(
      directory,
      "req",
      "-new",
      "-nodes",
      "-keyout",
      "key.pem",
      "-outform",
      "DER",
      "-out",
      "csr.der",
      ...args,
    );
    csr = await Deno.readFile(`${directory}/csr.der`);
  });
  return csr;
}

const EC = ["-newkey", "ec", "-pkeyopt"];

Deno.test("a request gives the public half of the key that was made", () => {
  const key = createPublicKey(createPrivateKey(made.privateKey));
  const spki = key.export({ format: "der", type: "spki" });
  const checked = checkCsr(made.csr);
  assert(Buffer.from(checked.publicKey).equals(spki));
  assert.match(checked.spkiHash, /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("openssl takes the request for one", async () => {
  await withFiles({ "csr.der": made.csr }, async (directory) => {
    const text = await opensslOk(
      directory,
      "req",
      "-inform",
      "DER",
      "-in",
      "csr.der",
      "-noout",
      "-verify",
      "-text",
    );
    assert.match(text, /verify OK/);
    assert.match(text, /NIST CURVE: P-256/);
    assert.match(text, /Subject: *\n/);
  });
});

Deno.test("a request that openssl made is taken, whatever it asks for beside the key", async () => {
  const csr = await opensslCsr(
    ...EC,
    "ec_paramgen_curve:P-256",
    "-subj",
    "/CN=root/O=evil",
    "-addext",
    "basicConstraints=critical,CA:TRUE",
    "-addext",
    "subjectAltName=DNS:manager.example",
  );
  assert.equal(checkCsr(csr).publicKey.length, 91);
});

Deno.test("refuses keys and signatures of other kinds", async () => {
  const subject = ["-subj", "/CN=x"];
  rejects(await opensslCsr(...EC, "ec_paramgen_curve:P-384", ...subject), "wrong-key");
  rejects(await opensslCsr(...EC, "ec_paramgen_curve:secp256k1", ...subject), "wrong-key");
  rejects(await opensslCsr("-newkey", "rsa:2048", ...subject), "wrong-key");
  rejects(await opensslCsr("-newkey", "ed25519", ...subject), "wrong-key");
  rejects(
    await opensslCsr(...EC, "ec_paramgen_curve:P-256", "-sha384", ...subject),
    "wrong-algorithm",
  );
});

Deno.test("refuses a request for a key that did not sign it", () => {
  const other = checkCsr(createKeyAndCsr().csr).publicKey;
  const own = checkCsr(made.csr).publicKey;
  const at = Buffer.from(made.csr).indexOf(Buffer.from(own));
  const swapped = concatBytes(made.csr.subarray(0, at), other, made.csr.subarray(at + own.length));
  rejects(swapped, "bad-signature");
});

Deno.test("refuses a point that is not on the curve", () => {
  const own = checkCsr(made.csr).publicKey;
  const at = Buffer.from(made.csr).indexOf(Buffer.from(own)) + own.length;
  rejects(
    concatBytes(made.csr.subarray(0, at - 64), new Uint8Array(64).fill(1), made.csr.subarray(at)),
    "bad-signature",
  );
});

Deno.test("refuses a request that is signed well, but not in DER or not of version 1", async () => {
  const key = await makeKey();
  const request = (version: string, subject: string) => {
    const tbs = tlv(0x30, hex(version), hex(subject), key.spki, hex("a000"));
    return tlv(
      0x30,
      tbs,
      hex("300a06082a8648ce3d040302"),
      tlv(0x03, Uint8Array.of(0), signWith(key.privateKey, tbs)),
    );
  };
  assert.deepEqual([...checkCsr(request("020100", "3000")).publicKey], [...key.spki]);
  rejects(request("020100", "3003318100"), "not-a-csr");
  rejects(request("020101", "3000"), "not-a-csr");
});

Deno.test("refuses bytes that are no request", () => {
  rejects(new Uint8Array(), "not-a-csr");
  rejects(concatBytes(made.csr, Uint8Array.of(0)), "not-a-csr");
  rejects(concatBytes(made.csr, hex("0500")), "not-a-csr");
  rejects(made.csr.subarray(0, -1), "not-a-csr");
  rejects(tlv(0x30), "not-a-csr");
  rejects(new Uint8Array(4097), "too-large");
});
