import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeRequest, HttpResponseReader, HttpTextError } from "./http_text.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function read(text: string): HttpResponseReader {
  const reader = new HttpResponseReader();
  reader.push(bytes(text));
  return reader;
}

Deno.test("a request says its body's length in bytes", () => {
  const request = encodeRequest({ method: "POST", target: "/v1/networks", body: { name: "é" } });
  const [head, body] = new TextDecoder().decode(request).split("\r\n\r\n");
  assert.deepEqual(head?.split("\r\n"), [
    "POST /v1/networks HTTP/1.1",
    "host: agent",
    "accept: application/json, application/problem+json",
    "connection: close",
    "content-type: application/json",
    "content-length: 13",
  ]);
  assert.equal(body, '{"name":"é"}');
});

Deno.test("a request without a body has no length", () => {
  const text = new TextDecoder().decode(encodeRequest({ method: "GET", target: "/v1/self" }));
  assert(text.endsWith("connection: close\r\n\r\n"));
  assert(!text.includes("content-"));
});

const LENGTH =
  'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}';
const CHUNKED = "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n" +
  '3\r\n{"a\r\nA\r\n":1,"b":"\n\r\n2\r\n"}\r\n0\r\n\r\n';
const UNTIL_CLOSE = "HTTP/1.1 503 \r\n\r\nbusy";

Deno.test("a body ends by its length, its last chunk, or the end of the stream", () => {
  const length = read(LENGTH);
  assert.deepEqual([length.status, length.body, length.isComplete], [200, '{"a":1}', true]);
  const chunked = read(CHUNKED);
  assert.deepEqual(
    [chunked.status, chunked.body, chunked.isComplete],
    [201, '{"a":1,"b":"\n"}', true],
  );
  const untilClose = read(UNTIL_CLOSE);
  assert.equal(untilClose.isComplete, false);
  untilClose.end();
  assert.deepEqual([untilClose.status, untilClose.body, untilClose.isComplete], [
    503,
    "busy",
    true,
  ]);
});

Deno.test("a 204 has no body, whatever it says", () => {
  assert.equal(read("HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n").isComplete, true);
});

Deno.test("the first chunk of a stream is there before the stream ends", () => {
  const reader = read("HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{}\n\r\n");
  assert.deepEqual([reader.body, reader.isComplete], ["{}\n", false]);
});

Deno.test("it does not matter how the bytes come apart", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(LENGTH, CHUNKED, UNTIL_CLOSE),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (text, sizes) => {
        const whole = bytes(text);
        const reader = new HttpResponseReader();
        for (let at = 0, turn = 0; at < whole.length; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          reader.push(whole.subarray(at, at + size));
          at += size;
        }
        if (text === UNTIL_CLOSE) reader.end();
        assert.equal(reader.isComplete, true);
        const once = read(text);
        assert.deepEqual([reader.status, reader.body], [once.status, once.body]);
      },
    ),
  );
});

Deno.test("whatever the bytes are, it is an answer or an HttpTextError", () => {
  const pieces = fc.constantFrom(
    ...["HTTP/1.1 200 OK", "\r\n", "\r\n\r\n", "content-length: 3", "transfer-encoding: chunked"],
    ...["3\r\nabc\r\n", "0\r\n\r\n", "abc", "\n", "\0", "ffffffff\r\n"],
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(pieces, fc.string({ unit: "binary" }))), (parts) => {
      const reader = new HttpResponseReader();
      try {
        for (const part of parts) reader.push(bytes(part));
        reader.end();
      } catch (error) {
        assert(error instanceof HttpTextError);
        return;
      }
      assert.notEqual(reader.status, null);
    }),
  );
});

const HEAD = "HTTP/1.1 200 OK\r\n";
const WRONG: readonly (readonly [what: string, text: string])[] = [
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["another version", "HTTP/1.0 200 OK\r\n\r\n"],
  ["an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"],
  ["two lengths", `${HEAD}content-length: 1\r\nContent-Length: 1\r\n\r\na`],
  [
    "a length and chunks",
    `${HEAD}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ["another coding", `${HEAD}transfer-encoding: gzip, chunked\r\n\r\n`],
  ["a signed length", `${HEAD}content-length: +1\r\n\r\na`],
  ["a folded field", `${HEAD}a: b\r\n c\r\n\r\n`],
  ["a space before the colon", `${HEAD}a : b\r\n\r\n`],
  ["a chunk's extension", `${HEAD}transfer-encoding: chunked\r\n\r\n1;x=y\r\na\r\n`],
  ["a chunk that is longer than it said", `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n`],
  ["a chunk's line without CR", `${HEAD}transfer-encoding: chunked\r\n\r\n1\na\r\n`],
  ["a chunk's line without end", `${HEAD}transfer-encoding: chunked\r\n\r\n${"0".repeat(40)}`],
  ["a trailer", `${HEAD}transfer-encoding: chunked\r\n\r\n0\r\na: b\r\n\r\n`],
  ["a second answer", `${LENGTH}${LENGTH}`],
  ["a head without end", HEAD + "a: b\r\n".repeat(20_000)],
];

for (const [what, text] of WRONG) {
  Deno.test(`${what} is refused`, () => {
    assert.throws(() => read(text), HttpTextError);
  });
}

for (const text of [HEAD, LENGTH.slice(0, -1), CHUNKED.slice(0, -2)]) {
  Deno.test(`an answer that ends after ${text.length} bytes is not whole`, () => {
    const reader = read(text);
    assert.throws(() => reader.end(), /before it had answered in full/);
  });
}
