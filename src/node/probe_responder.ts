import { createSocket, type Socket } from "node:dgram";
import { equalBytes, IpAddress } from "../base/mod.ts";
import type { NodeFacts } from "../state/mod.ts";
import { JoinError } from "./node_error.ts";

/**
 * Sends back what the manager sends to this host's addresses, so that it knows that they reach it.
 * While a host joins it has no overlay network, so the port is free.
 */
export class ProbeResponder {
  readonly #sockets: readonly Socket[];

  private constructor(sockets: readonly Socket[]) {
    this.#sockets = sockets;
  }

  /**
   * Answers to `probe`, and to nothing else.
   *
   * @throws {JoinError} `port-busy`
   */
  static async start(facts: NodeFacts, port: number, probe: Uint8Array): Promise<ProbeResponder> {
    const { controlAddress, vtepAddress } = facts;
    const control = controlAddress.slice(0, controlAddress.lastIndexOf(":"));
    const sockets: Socket[] = [];
    const responder = new ProbeResponder(sockets);
    for (const text of new Set([control.replace(/^\[|\]$/g, ""), vtepAddress])) {
      const socket = createSocket(IpAddress.parse(text).family === 4 ? "udp4" : "udp6");
      sockets.push(socket);
      socket.on("message", (message: Uint8Array, sender) => {
        if (!equalBytes(message, probe)) return;
        socket.send(message, sender.port, sender.address, () => {});
      });
      try {
        await bind(socket, port, text);
      } catch (cause) {
        responder.close();
        if (isErrno(cause, "EADDRNOTAVAIL")) {
          throw new JoinError(
            "not-our-address",
            `${text} is not an address of this host: give one that is (--advertise, --vtep)`,
            { cause },
          );
        }
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new JoinError(
          "port-busy",
          `UDP port ${port} at ${text} is needed for overlay networks and cannot be used: ${reason}`,
          { cause },
        );
      }
    }
    return responder;
  }

  /** Answers no more. */
  close(): void {
    for (const socket of this.#sockets) socket.close();
  }
}

function bind(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    // Stays: an error that nobody hears would end the process. The manager says what it has missed.
    socket.on("error", reject);
    socket.bind(port, address, resolve);
  });
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
