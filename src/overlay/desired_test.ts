import assert from "node:assert/strict";
import { encodeBase32 } from "../base/mod.ts";
import type { ProjectedNetwork, Projection } from "../state/mod.ts";
import { buildDesired, type LocalAttachment } from "./desired.ts";
import { maybePortName, portName } from "./names.ts";

const id = (number: number) => encodeBase32(new Uint8Array(16).fill(number));
const HERE = id(1);
const THERE = id(2);

function network(number: number, name: string): ProjectedNetwork {
  const endpoint = (last: number, nodeId: string) => ({
    id: id(number * 10 + last),
    name: null,
    ip: `10.64.${number}.${last}`,
    mac: `02:00:0a:40:0${number}:0${last}`,
    nodeId,
    vtepAddress: nodeId === HERE ? "192.0.2.1" : "192.0.2.2",
  });
  return {
    id: id(number),
    name,
    vni: 4096 + number,
    subnet: `10.64.${number}.0/24`,
    mtuBytes: 1450,
    port: 19_999,
    encrypted: false,
    endpoints: [endpoint(2, HERE), endpoint(3, THERE), endpoint(4, HERE)],
  };
}

const PROJECTION: Projection = {
  v: 1,
  clusterId: id(8),
  incarnation: id(9),
  node: { id: HERE, index: 1, vtepAddress: "192.0.2.1" },
  networks: [network(3, "shop"), network(4, "bank")],
  digest: "",
};

function attachment(networkNumber: number, last: number): LocalAttachment {
  return {
    endpointId: id(networkNumber * 10 + last),
    networkId: id(networkNumber),
    target: { kind: "path", path: "/run/netns/web" },
    interfaceName: null,
  };
}

Deno.test("buildDesired tells local from remote, and keeps the order of attachments", () => {
  const { networks, endpoints } = buildDesired(PROJECTION, [attachment(4, 2), attachment(3, 4)]);
  assert.deepEqual(networks.map(({ name }) => name), ["shop", "bank"]);
  assert.deepEqual(networks[0]?.remotes, [
    { ip: "10.64.3.3", mac: "02:00:0a:40:03:03", vtepAddress: "192.0.2.2" },
  ]);
  assert.deepEqual(endpoints.map(({ ip, prefixLength }) => `${ip}/${prefixLength}`), [
    "10.64.4.2/24",
    "10.64.3.4/24",
  ]);
});

Deno.test("buildDesired leaves out what the projection does not confirm", () => {
  // Not there; of another node; claimed for another network than it is on.
  const strangers = [
    attachment(5, 2),
    attachment(3, 3),
    { ...attachment(3, 2), networkId: id(4) },
  ];
  assert.deepEqual(buildDesired(PROJECTION, strangers).endpoints, []);
});

Deno.test("a port's name fits the kernel's 15 bytes", () => {
  assert.equal(portName(id(200)).length, 15);
  assert.ok(maybePortName(portName(id(200))));
  assert.ok(!maybePortName("eth0"));
});
