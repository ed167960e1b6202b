import assert from "node:assert/strict";
import fc from "fast-check";
import { isName, type Json } from "../base/mod.ts";
import { MAX_BODY_BYTES, readBody } from "./input.ts";
import { name } from "./schema/parts.ts";
import { type Asked, TestClient } from "./testing_client.ts";

interface BadInput {
  readonly what: string;
  readonly method?: string;
  readonly path?: string;
  readonly asked: Asked;
  readonly status: number;
  readonly code: string;
  readonly field?: string;
}

const create = (what: string, body: Json, field: string, code = "invalid-value"): BadInput => ({
  what,
  asked: { body },
  status: 422,
  code,
  field,
});
const patch = (what: string, body: Json, field: string): BadInput => ({
  ...create(what, body, field),
  method: "PATCH",
  path: "/v1/networks/shop",
});
const endpoint = (what: string, body: Json, field: string, code = "invalid-value"): BadInput => ({
  ...create(what, body, field, code),
  path: "/v1/networks/shop/endpoints",
});
const header = (what: string, headers: Record<string, string>, field: string): BadInput => ({
  what,
  method: "PATCH",
  path: "/v1/networks/shop",
  asked: { body: {}, headers },
  status: 400,
  code: "invalid-parameter",
  field,
});
const list = (query: string, field: string): BadInput => ({
  what: `a list with ?${query}`,
  method: "GET",
  path: `/v1/networks?${query}`,
  asked: {},
  status: 400,
  code: "invalid-parameter",
  field,
});
const raw = (what: string, rawBody: string, more: Partial<BadInput>): BadInput => ({
  what,
  asked: { rawBody, headers: { "content-type": "application/json" } },
  status: 400,
  code: "malformed-json",
  ...more,
});

const CASES: readonly BadInput[] = [
  create("no name", {}, "/name"),
  create("an empty name", { name: "" }, "/name"),
  create("a name with upper case", { name: "Shop" }, "/name"),
  create("a name of 64 characters", { name: "a".repeat(64) }, "/name"),
  create("a name that looks like an id", { name: "a".repeat(26) }, "/name"),
  create("a name that is a number", { name: 7 }, "/name"),
  create("an unknown field", { name: "a", colour: "red" }, "/colour"),
  create("an unknown field with a slash", { name: "a", "a/b~": 1 }, "/a~1b~0"),
  create("an unknown field deep inside", {
    name: "a",
    allowedNodes: { ids: [], tags: {} },
  }, "/allowedNodes/tags"),
  create(
    "a node's id that is none",
    { name: "a", allowedNodes: { ids: ["x"] } },
    "/allowedNodes/ids/0",
  ),
  create("allowedNodes that are neither", { name: "a", allowedNodes: "all" }, "/allowedNodes"),
  create("a label that is a number", { name: "a", labels: { tier: 1 } }, "/labels/tier"),
  create(
    "a label of 257 characters",
    { name: "a", labels: { tier: "x".repeat(257) } },
    "/labels/tier",
  ),
  create(
    "65 labels",
    { name: "a", labels: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, ""])) },
    "/labels",
  ),
  create("an MTU that is too small", { name: "a", mtuBytes: 575 }, "/mtuBytes"),
  create("an MTU that is no whole number", { name: "a", mtuBytes: 1400.5 }, "/mtuBytes"),
  create("a subnet that is none", { name: "a", subnet: "ten" }, "/subnet"),
  create("a subnet with host bits", { name: "a", subnet: "10.80.0.1/24" }, "/subnet"),
  create("a subnet that is too small", { name: "a", subnet: "10.80.0.0/30" }, "/subnet"),
  create("an IPv6 subnet", { name: "a", subnet: "2001:db8::/64" }, "/subnet"),
  {
    ...create(
      "an overlapping subnet",
      { name: "a", subnet: "10.70.0.0/16" },
      "/subnet",
      "subnet-taken",
    ),
    status: 409,
  },
  {
    ...create(
      "a host's own address",
      { name: "a", subnet: "192.0.2.0/24" },
      "/subnet",
      "subnet-in-use-on-host",
    ),
    status: 409,
  },
  { ...create("a name that is taken", { name: "shop" }, "/name", "name-taken"), status: 409 },
  create(
    "an interval of what is not encrypted",
    { name: "a", rotationIntervalMs: 60_000 },
    "/rotationIntervalMs",
  ),
  create(
    "an interval under 5 s",
    { name: "a", encrypted: true, rotationIntervalMs: 4_999 },
    "/rotationIntervalMs",
  ),
  create(
    "an interval over 30 days",
    { name: "a", encrypted: true, rotationIntervalMs: 30 * 24 * 3_600_000 + 1 },
    "/rotationIntervalMs",
  ),
  create("encryption that is no yes or no", { name: "a", encrypted: "yes" }, "/encrypted"),
  patch("a patch of encryption", { encrypted: true }, "/encrypted"),
  patch("a patch with an interval under 5 s", { rotationIntervalMs: 1 }, "/rotationIntervalMs"),
  {
    ...patch(
      "an interval for what is not encrypted",
      { rotationIntervalMs: 5_000 },
      "/rotationIntervalMs",
    ),
    status: 409,
    code: "not-encrypted",
  },
  create("a body that is a list", [], ""),
  create("a body that is null", null, ""),
  patch("a patch of what cannot change", { name: "other" }, "/name"),
  patch("a patch with a label too long", { labels: { "": "x" } }, "/labels/"),
  patch("a patch with a wrong type", { allowedNodes: { ids: 7 } }, "/allowedNodes/ids"),
  endpoint(
    "an address outside",
    { node: "host2", ip: "10.99.0.2" },
    "/ip",
    "address-outside-subnet",
  ),
  endpoint("an address that is none", { node: "host2", ip: "ten" }, "/ip"),
  endpoint("the reserved address", { node: "host2", ip: "10.70.0.1" }, "/ip"),
  endpoint("a group MAC", { node: "host2", mac: "01:00:5e:00:00:01" }, "/mac"),
  { ...endpoint("an unknown node", { node: "host9" }, "/node", "not-found"), status: 404 },
  {
    ...endpoint(
      "an address that is taken",
      { node: "host2", ip: "10.70.0.9" },
      "/ip",
      "address-taken",
    ),
    status: 409,
  },
  {
    ...endpoint("a name that is taken", { node: "host2", name: "web" }, "/name", "name-taken"),
    status: 409,
  },
  {
    ...create(
      "an unknown network",
      { endpoints: [{ network: "shop" }, { network: "none" }] },
      "/endpoints/1/network",
      "not-found",
    ),
    path: "/v1/endpoints",
    status: 404,
  },
  {
    ...create("no endpoints", { endpoints: [] }, "/endpoints"),
    path: "/v1/endpoints",
  },
  {
    ...create("17 endpoints", {
      endpoints: Array.from({ length: 17 }, () => ({ network: "shop" })),
    }, "/endpoints"),
    path: "/v1/endpoints",
  },
  { ...create("no lifetime at all", { lifetimeMs: 0 }, "/lifetimeMs"), path: "/v1/tokens" },
  { ...create("a role there is not", { role: "boss" }, "/role"), path: "/v1/tokens" },
  {
    ...create("a setting there is not", { settings: { colour: 1 } }, "/settings/colour"),
    method: "PATCH",
    path: "/v1/cluster",
  },
  {
    ...create("a setting out of range", { settings: { controlPort: 0 } }, "/settings/controlPort"),
    method: "PATCH",
    path: "/v1/cluster",
  },
  header("an If-Match without quotes", { "if-match": "3" }, "If-Match"),
  header("an If-Match of two", { "if-match": '"3", "4"' }, "If-Match"),
  header("a weak If-Match", { "if-match": 'W/"3"' }, "If-Match"),
  header("an Idempotency-Key with a blank", { "idempotency-key": "a b" }, "Idempotency-Key"),
  header("an Idempotency-Key of 65", { "idempotency-key": "a".repeat(65) }, "Idempotency-Key"),
  header("an Agent-Request that is none", { "agent-request": "x;from=1" }, "Agent-Request"),
  list("limit=0", "limit"),
  list("limit=1001", "limit"),
  list("limit=1e2", "limit"),
  list("limit=%2010", "limit"),
  list("limit=1&limit=2", "limit"),
  list("after=shop", "after"),
  list("colour=red", "colour"),
  raw("a body that is no JSON", "{", {}),
  raw("an empty body", "", {}),
  {
    ...raw("bytes that are no UTF-8", "", {}),
    asked: {
      rawBody: new Uint8Array([0x22, 0xff, 0x22]),
      headers: { "content-type": "application/json" },
    },
  },
  raw("a form", "name=a", {
    asked: {
      rawBody: "name=a",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    },
    status: 415,
    code: "unsupported-media-type",
    field: "Content-Type",
  }),
  raw("a body of no type", "", {
    asked: { rawBody: new TextEncoder().encode("{}") },
    status: 415,
    code: "unsupported-media-type",
    field: "Content-Type",
  }),
  raw("a merge patch that is posted", "{}", {
    asked: { rawBody: "{}", headers: { "content-type": "application/merge-patch+json" } },
    status: 415,
    code: "unsupported-media-type",
  }),
  raw("a body over 64 KiB", JSON.stringify({ name: "a".repeat(MAX_BODY_BYTES) }), {
    status: 413,
    code: "body-too-large",
  }),
];

for (const { what, method = "POST", path = "/v1/networks", asked, status, code, field } of CASES) {
  Deno.test(`${what} is refused, and nothing changes`, async () => {
    const client = new TestClient();
    await client.ask("POST", "/v1/networks", { body: { name: "shop", subnet: "10.70.0.0/24" } });
    await client.ask("POST", "/v1/networks/shop/endpoints", {
      body: { node: "host2", ip: "10.70.0.9", name: "web" },
    });
    const { revision } = client.control.state;
    const answer = await client.ask(method, path, asked);
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.code, code);
    if (field !== undefined) assert.equal(answer.json.field, field, answer.text);
    assert.equal(client.control.state.revision, revision);
  });
}

Deno.test("a body of 30,000 brackets is refused like any other", async () => {
  const client = new TestClient();
  const deep = "[".repeat(30_000) + "]".repeat(30_000);
  for (const rawBody of [deep, `{"name":"a","labels":{"x":${deep}}}`, `{"\\u0061":${deep}}`]) {
    const headers = { "content-type": "application/json", "idempotency-key": "deep" };
    const answer = await client.ask("POST", "/v1/networks", { rawBody, headers });
    assert.ok(answer.status === 422 || answer.status === 400, answer.text);
  }
});

Deno.test("all faults of a body are named", async () => {
  const body = { name: "A", mtuBytes: 1, colour: "red", shape: "round" };
  const answer = await new TestClient().ask("POST", "/v1/networks", { body });
  assert.deepEqual(
    answer.json.details.faults.map(({ field }: { field: string }) => field).sort(),
    ["/colour", "/mtuBytes", "/name", "/shape"],
  );
});

Deno.test("a member called __proto__ is refused, not lost", async () => {
  const client = new TestClient();
  const headers = { "content-type": "application/json" };
  for (
    const member of [
      '"__proto__":{}',
      '"labels":{"__proto__":"x"}',
      '"labels":{"\\u005f_proto__":"x"}',
    ]
  ) {
    const rawBody = `{"name":"a",${member}}`;
    const answer = await client.ask("POST", "/v1/networks", { rawBody, headers });
    assert.equal(answer.json.code, "invalid-value", member);
  }
});

Deno.test("a body without a declared length is cut off at the limit", async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      sent += 1024;
      controller.enqueue(new Uint8Array(1024));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const request = new Request("https://manager/", { method: "POST", body: endless });
  await assert.rejects(readBody(request, MAX_BODY_BYTES), { code: "body-too-large" });
  assert.ok(sent <= 2 * MAX_BODY_BYTES);
  assert.ok(cancelled);
});

Deno.test("the schema of names and isName agree", () => {
  const texts = fc.oneof(
    fc.string({ maxLength: 70 }),
    fc.stringMatching(/^[a-z2-7-]{24,28}$/),
    fc.stringMatching(/^[a-z0-9-]{0,70}$/),
  );
  fc.assert(fc.property(texts, (text) => name.safeParse(text).success === isName(text)));
});
