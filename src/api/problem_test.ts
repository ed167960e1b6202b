import assert from "node:assert/strict";
import { ApiProblem, isPortError, problemResponse, PROBLEMS } from "./problem.ts";

Deno.test("every code has an error's status, a title of its own and the form of a code", () => {
  const titles = new Set<string>();
  for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.ok(status >= 400 && status < 600);
    titles.add(title);
  }
  assert.equal(titles.size, Object.keys(PROBLEMS).length);
});

/** What clients and the retry logic stand on; the rest may be changed more freely. */
const STATUSES: Readonly<Record<string, number>> = {
  "not-found": 404,
  "name-taken": 409,
  "subnet-taken": 409,
  "address-taken": 409,
  "in-use": 409,
  "revision-mismatch": 412,
  "request-reused": 422,
  "invalid-value": 422,
  "node-not-allowed": 403,
  "token-unknown": 403,
  "not-leader": 421,
  "unavailable": 503,
  "busy": 429,
  "too-many-requests": 429,
};

Deno.test("statuses that clients stand on", () => {
  for (const [code, status] of Object.entries(STATUSES)) {
    assert.equal(Object.entries(PROBLEMS).find(([one]) => one === code)?.[1].status, status, code);
  }
});

Deno.test("a problem document has all members and no more", async () => {
  const response = problemResponse(
    new ApiProblem("name-taken", "A network is called shop already", {
      field: "/name",
      details: { network: "x" },
    }),
  );
  assert.equal(response.status, 409);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.deepEqual(await response.json(), {
    type: "urn:agent:problem:name-taken",
    title: "The name is taken",
    status: 409,
    detail: "A network is called shop already",
    code: "name-taken",
    field: "/name",
    details: { network: "x" },
  });
});

Deno.test("only an error with a code of the table says no; all others are defects", () => {
  const named = (code: unknown) => Object.assign(new Error("x"), { code });
  assert.ok(isPortError(named("not-found")));
  for (const code of ["ECONNREFUSED", "timeout", "toString", "__proto__", 404, undefined]) {
    assert.ok(!isPortError(named(code)), String(code));
  }
  assert.ok(!isPortError({ code: "not-found", message: "no error" }));
});
