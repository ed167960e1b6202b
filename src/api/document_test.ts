import assert from "node:assert/strict";
import { createClusterApp } from "./app.ts";
import { CLUSTER_ROUTES, TestClient, testLogger } from "./testing_client.ts";

Deno.test("every route is in the document, with its rule, its parameters and its schemas", async () => {
  const client = new TestClient();
  const { json } = await client.ask("GET", "/openapi.json", { as: client.worker });
  assert.equal(json.openapi, "3.1.0");
  const described: string[] = [];
  const operationIds = new Set<string>();
  for (const [path, operations] of Object.entries<Record<string, never>>(json.paths)) {
    // deno-lint-ignore no-explicit-any
    for (const [method, operation] of Object.entries<any>(operations)) {
      described.push(`${method.toUpperCase()} ${path}`);
      operationIds.add(operation.operationId);
      assert.ok(operation.summary && operation.description);
      const inPath = operation.parameters.filter((one: { in: string }) => one.in === "path");
      assert.equal(inPath.length, path.includes("{") ? 1 : 0);
      assert.equal(
        operation.requestBody !== undefined,
        (method === "post" || method === "patch") &&
          !/\/(rotate|backup|networks\/\{network\}\/check)$/.test(path),
      );
      const good = Object.entries<never>(operation.responses).filter(([status]) => status < "300");
      assert.equal(good.length, 1);
    }
  }
  assert.deepEqual(
    described.sort(),
    CLUSTER_ROUTES.map(({ method, path }) => `${method} ${path}`).sort(),
  );
  assert.equal(operationIds.size, CLUSTER_ROUTES.length);
});

Deno.test("a schema of the document says what the check demands", async () => {
  const { json } = await new TestClient().ask("GET", "/openapi.json");
  const content = json.paths["/v1/networks"].post.requestBody.content["application/json"];
  assert.equal(content.schema.$ref, "#/components/schemas/NetworkRequest");
  const schema = json.components.schemas.NetworkRequest;
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(schema.required, ["name"]);
  assert.match("shop", new RegExp(schema.properties.name.pattern));
  assert.doesNotMatch("a".repeat(26), new RegExp(schema.properties.name.pattern));
  assert.equal(schema.properties.mtuBytes.minimum, 576);
  const parameters = json.paths["/v1/networks"].get.parameters;
  const limit = parameters.find((one: { name: string }) => one.name === "limit");
  assert.equal(limit.schema.type, "integer");
  assert.equal(limit.schema.maximum, 1000);
  assert.equal(limit.schema.default, 100);
});

Deno.test("references lead somewhere, and every schema is referred to", async () => {
  const { json, text } = await new TestClient().ask("GET", "/openapi.json");
  const used = new Set<string>();
  for (const [, target = ""] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
    assert.ok(target.startsWith("#/components/schemas/"), target);
    used.add(target.replace("#/components/schemas/", ""));
  }
  assert.deepEqual(Object.keys(json.components.schemas).sort(), [...used].sort());
  assert.ok(used.has("Network") && used.has("Problem"));
});

Deno.test("the document carries the agent's version", async () => {
  const client = new TestClient();
  const app = createClusterApp(client.control, { logger: testLogger([]), agentVersion: "1.2.3" });
  const response = await app.fetch(new Request("https://manager/openapi.json"), {
    principal: client.manager,
    address: "192.0.2.99",
  });
  assert.equal((await response.json()).info.version, "1.2.3");
});
