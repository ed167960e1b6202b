import assert from "node:assert/strict";
import { encodeHex } from "../base/mod.ts";
import { encodeAnnouncement } from "./announcement.ts";

Deno.test("an announcement is an ARP reply about its own sender, to all", () => {
  assert.equal(
    encodeHex(encodeAnnouncement({ ip: "10.64.0.4", mac: "02:00:0a:40:00:04" })),
    "ffffffffffff" + "02000a400004" + "0806" + "0001" + "0800" + "06" + "04" + "0002" +
      "02000a400004" + "0a400004" + "02000a400004" + "0a400004",
  );
});
