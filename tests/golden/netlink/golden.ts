import assert from "node:assert/strict";
import {
  Connection,
  type Dump,
  NetlinkError,
  type Query,
  type Request,
} from "../../../src/netlink/mod.ts";
import { readRecording, ReplayTransport } from "./replay.ts";
import type { Conversation } from "./transcript.ts";

/** Changes recorded bytes where they are, or gives others in their place. */
export type Edit = (recorded: DataView) => Uint8Array<ArrayBuffer> | void;

/** A command of iproute2, and the request of ours that must be the same bytes. */
export interface GoldenRequest {
  readonly command: string;
  readonly request: Request;
  /** Where ours differs on purpose: edits the recorded bytes, with the reason beside it. */
  readonly edit?: Edit;
  /** What the kernel answered: nothing when it did as it was told. */
  readonly refused?: { readonly code: string; readonly message?: RegExp };
}

/** Declares one test per command: equal bytes, and the recorded answer understood. */
export function testRequests(file: string, cases: readonly GoldenRequest[]): void {
  const recording = readRecording(file);
  for (const golden of cases) {
    Deno.test(`golden: ${golden.command}`, () => {
      const recorded = conversation(recording, golden.command);
      const transport = new ReplayTransport(recorded);
      const result = new Connection(transport).batch([golden.request])[0];
      assertSameBytes(transport, recorded, golden.edit);
      if (golden.refused === undefined) {
        assert.equal(result, null);
      } else {
        assert.ok(result instanceof NetlinkError);
        assert.equal(result.code, golden.refused.code);
        assert.match(result.message, golden.refused.message ?? /./);
      }
    });
  }
}

/** An edit that cuts a message after so many bytes, where iproute2 says more than the kernel reads. */
export function cutTo(length: number): Edit {
  return (recorded) => {
    recorded.setUint32(0, length, true);
    return new Uint8Array(recorded.buffer.slice(0, length) as ArrayBuffer);
  };
}

/** Replays a recorded dump; checks the request's bytes and gives what was decoded. */
export function replayDump<T>(
  file: string,
  command: string,
  dump: Dump<T>,
  edit?: Edit,
): T[] {
  const recorded = conversation(readRecording(file), command);
  const transport = new ReplayTransport(recorded);
  const objects = new Connection(transport).dump(dump);
  assertSameBytes(transport, recorded, edit);
  return objects;
}

/** The same for a query. */
export function replayQuery<T>(
  file: string,
  command: string,
  query: Query<T>,
  edit?: Edit,
): T {
  const recorded = conversation(readRecording(file), command);
  const transport = new ReplayTransport(recorded);
  try {
    return new Connection(transport).get(query);
  } finally {
    assertSameBytes(transport, recorded, edit);
  }
}

function conversation(recording: ReadonlyMap<string, Conversation>, command: string): Conversation {
  const recorded = recording.get(command);
  assert.ok(recorded !== undefined, `no recording of: ${command}`);
  return recorded;
}

function assertSameBytes(
  transport: ReplayTransport,
  recorded: Conversation,
  edit: Edit | undefined,
): void {
  const sent = recorded.datagrams.filter(({ direction }) => direction === "sent");
  const expected = sent.map(({ bytes }) => {
    const copy = Uint8Array.from(bytes);
    return edit?.(new DataView(copy.buffer)) ?? copy;
  });
  assert.deepEqual(transport.sent.map(({ bytes }) => hex(bytes)), expected.map(hex));
}

/** Words of 4 bytes: a difference shows where it is. */
function hex(bytes: Uint8Array): string {
  return (Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("").match(
    /.{1,8}/g,
  ) ??
    []).join(" ");
}
