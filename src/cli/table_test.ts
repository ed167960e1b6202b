import assert from "node:assert/strict";
import { formatFacts, formatLabels, formatTable } from "./table.ts";

Deno.test("columns are as wide as their widest cell", () => {
  assert.equal(
    formatTable(["ID", "NAME", "IP"], [["1", "web", "10.64.0.2"], ["22222", "-", ""]]),
    "ID     NAME  IP\n" +
      "1      web   10.64.0.2\n" +
      "22222  -\n",
  );
});

Deno.test("a table of nothing is its headings", () => {
  assert.equal(formatTable(["ID", "NAME"], []), "ID  NAME\n");
});

Deno.test("facts stand in two columns", () => {
  assert.equal(formatFacts([["Id", "1"], ["Role", "worker"]]), "Id    1\nRole  worker\n");
});

Deno.test("labels are pairs, none of them a dash", () => {
  assert.equal(formatLabels({ zone: "a", tier: "" }), "zone=a,tier=");
  assert.equal(formatLabels({}), "-");
});
