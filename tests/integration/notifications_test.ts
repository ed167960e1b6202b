// needs: root netns
import assert from "node:assert/strict";
import { IpAddress } from "../../src/base/mod.ts";
import {
  Connection,
  createLink,
  decodeNotifications,
  replaceNeighbour,
  RTNLGRP_NEIGH,
} from "../../src/netlink/mod.ts";
import {
  createNamedNamespace,
  deleteNamedNamespace,
  openNetlinkSocket,
  Watcher,
} from "../../src/sys/mod.ts";
import { waitFor } from "../e2e/wait.ts";

Deno.test(
  "a watcher hears of what others have done, and not of what one socket has, if it is to leave that out",
  { sanitizeOps: true, sanitizeResources: true },
  async () => {
    const name = `notifications-test-${Deno.pid}`;
    const namespace = createNamedNamespace(name);
    await using watcher = new Watcher();
    const sockets = [0, 1].map(() => openNetlinkSocket({ family: "route", namespace }));
    const connections = sockets.map((socket) => new Connection(socket));
    try {
      const [own, other] = connections;
      const [{ portId } = { portId: 0 }] = sockets;
      assert(own !== undefined && other !== undefined);
      own.request(createLink({ name: "bridge9", index: 7, up: true, kind: { kind: "bridge" } }));
      const heard = new Map<string, string[]>([["all", []], ["others", []]]);
      const follow = (who: string, more: { readonly notCausedBy?: number }) =>
        watcher.subscribe(
          { family: "route", namespace, namespaces: "own", groups: [RTNLGRP_NEIGH], ...more },
          {
            onDatagram: (datagram) => {
              for (const notification of decodeNotifications(datagram)) {
                if (notification.kind !== "neighbour") continue;
                heard.get(who)?.push(`${notification.neighbour.address}`);
              }
            },
            onOverrun: () => assert.fail("nothing was lost"),
          },
        );
      follow("all", {});
      follow("others", { notCausedBy: portId });
      const set = (connection: Connection, ip: string) => {
        const address = IpAddress.parse(ip);
        connection.request(
          replaceNeighbour({ index: 7, address, mac: "02:00:00:00:00:01", state: "permanent" }),
        );
      };
      set(own, "192.0.2.1");
      set(other, "192.0.2.2");
      set(own, "192.0.2.3");
      set(other, "192.0.2.4");
      await waitFor("the last to be heard", () => heard.get("others")?.includes("192.0.2.4"));
      assert.deepEqual(heard.get("others"), ["192.0.2.2", "192.0.2.4"]);
      await waitFor("all to be heard", () => heard.get("all")?.length === 4);
    } finally {
      for (const connection of connections) connection.close();
      namespace.close();
      deleteNamedNamespace(name);
    }
  },
);
