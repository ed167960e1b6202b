// Streams that a test writes itself, and one who listens to them.
import { encodeFrame, encodeUtf8, type JsonObject } from "../base/mod.ts";
import { HandClock, realClock } from "../cluster/testing_clock.ts";
import { keepingLogger } from "../cluster/testing_plane.ts";
import { type Projection, StreamFrame } from "../state/mod.ts";
import { systemRandom } from "../sys/mod.ts";
import { Dialer } from "../tls/mod.ts";
import { LeaderLink } from "./leader_link.ts";
import { type Membership, ProjectionStream } from "./projection_stream.ts";
import { type Meddle, type TestHost, TestManager } from "./testing_cluster.ts";

export const sanitized = { sanitizeOps: true, sanitizeResources: true };
export const PATH = "/v1/self/projection";

/** Streams that the test writes itself. */
export class Script {
  readonly #controllers: ReadableStreamDefaultController<Uint8Array>[] = [];

  readonly meddle: Meddle = (request, _principal, next) => {
    if (new URL(request.url).pathname !== PATH) return next();
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void this.#controllers.push(controller),
    });
    return Promise.resolve(new Response(body));
  };

  get streams(): number {
    return this.#controllers.length;
  }

  send(stream: number, bytes: Uint8Array): void {
    try {
      this.#controllers[stream]?.enqueue(bytes);
    } catch {
      // The node has closed it.
    }
  }

  end(stream: number): void {
    this.#controllers[stream]?.close();
  }

  projection(
    stream: number,
    revision: number,
    header: JsonObject = {},
    incarnation = "first",
    generation = 0,
  ): void {
    const digest = `digest-${revision}`;
    const node = { id: "node", index: 1, vtepAddress: "127.0.0.1", bootKey: null };
    const projection = {
      v: 1,
      incarnation,
      generation,
      digest,
      node,
      networks: [],
      retained: [],
    };
    this.send(
      stream,
      encodeFrame({
        kind: StreamFrame.projection,
        header: { stateTimeMs: 1, revision, digest, part: 0, parts: 1, managers: [], ...header },
        body: encodeUtf8(JSON.stringify(projection)),
      }),
    );
  }
}

/** A projection stream by itself, with a host's identity. */
export function listen(
  host: TestHost,
  clock = new HandClock(),
  membership: Membership = "member",
  check: (projection: Projection) => void = () => {},
) {
  const { identity, trust } = host.identity.readTls();
  const dialer = new Dialer({ identity, trust, clock: realClock });
  const { managers } = host.record;
  const logger = keepingLogger(host.lines);
  const ports = { clock: realClock, random: systemRandom, logger };
  const link = new LeaderLink({ dialer, managers, ...ports });
  const heard = { applied: [] as string[], received: 0, up: 0, down: 0, removed: 0, asked: 0 };
  const stream = new ProjectionStream({
    link,
    ...ports,
    clock,
    onProjection: ({ digest }) => heard.applied.push(digest),
    onReceived: () => void heard.received++,
    onAccepted: () => {},
    check: (projection) => check(projection),
    onManagers: () => {},
    onStateTime: () => {},
    onCheck: () => {},
    onConnected: (state) => void heard[state]++,
    askMembership: () => {
      heard.asked++;
      return Promise.resolve(membership);
    },
    onRemoved: () => void heard.removed++,
  });
  return {
    stream,
    heard,
    clock,
    [Symbol.dispose]() {
      stream.close();
      link.close();
      dialer.closeAll();
    },
  };
}

/** A manager whose streams are scripted, and one host that does not listen by itself. */
export async function setUp() {
  const manager = await TestManager.start();
  const host = await manager.join("one");
  await host.agent.ready;
  await host.stop();
  const script = new Script();
  manager.meddle = script.meddle;
  return { manager, host, script };
}
