import assert from "node:assert/strict";
import { SyscallError } from "./errors.ts";
import { inNewNamespace, openCurrentNamespace } from "./namespace.ts";
import { PacketSocket } from "./packet_socket.ts";

Deno.test(
  "a packet socket sends in the namespace that it was opened in, and says why it cannot",
  { sanitizeOps: true, sanitizeResources: true },
  () => {
    using namespace = inNewNamespace(openCurrentNamespace);
    using socket = new PacketSocket(namespace);
    const failure = (interfaceIndex: number) => {
      try {
        socket.send(interfaceIndex, new Uint8Array(42));
      } catch (error) {
        if (error instanceof SyscallError) return error.errnoName;
      }
      return null;
    };
    // The loopback of a new namespace is down; that of this process's is up.
    assert.equal(failure(1), "ENETDOWN");
    assert.equal(failure(77), "ENXIO");
    socket.close();
    assert.throws(() => socket.send(1, new Uint8Array(42)), TypeError);
  },
);
