/**
 * Raft without a machine: one member's part in agreeing on a log. Time comes in as
 * {@linkcode Raft.tick}, messages as {@linkcode Raft.step}, requests as {@linkcode Raft.propose}
 * and its like; what has to be done comes out as a {@linkcode Ready}. It has no clock, no socket
 * and no disk, and the same calls give the same answers. Entries are opaque bytes.
 *
 * It follows Ongaro's paper ("In Search of an Understandable Consensus Algorithm", extended
 * version) and thesis ("Consensus: Bridging Theory and Practice"), and has: PreVote; CheckQuorum (a
 * leader that does not hear a majority for an election timeout steps down, and who hears a leader
 * votes for nobody else); pipelined and batched replication with bounded windows; snapshots in
 * pieces; membership changes of one member at a time, learners first, each effective as soon as it
 * is in the log; leadership transfer; linearizable reads by ReadIndex, which trust no clock. Messages
 * go to and from the leader only: a follower refuses proposals and reads and names the leader.
 *
 * ```ts
 * import { MemoryStorage, type Message, Raft, type Ready } from "./mod.ts";
 * import type { Random } from "../base/mod.ts";
 *
 * declare const random: Random;
 * declare const save: (ready: Ready) => void;
 * declare const send: (messages: readonly Message[]) => void;
 * declare const apply: (ready: Ready) => void;
 *
 * const storage = new MemoryStorage({ voters: ["a"], learners: [] });
 * const raft = new Raft({ id: "a", storage, random, floor: 0 });
 * raft.campaign();
 * raft.propose(new Uint8Array([1]));
 * for (let ready = raft.ready(); ready !== null; ready = raft.ready()) {
 *   send(ready.early);
 *   save(ready);
 *   storage.save(ready);
 *   send(ready.messages);
 *   apply(ready);
 *   raft.advance();
 * }
 * ```
 *
 * ## What the caller must do
 *
 * **After every call** (several may be taken together: that is the batching), handle
 * {@linkcode Raft.ready} until it is null, then wait for the next message, request or tick. For each:
 *
 * 1. Send `early`; it may wait, too, as long as it goes out.
 * 2. Save `chunks`, `snapshot`, `entries` and `hardState`: all but the chunks in one transaction. When
 *    `mustSync`, fsync. A failed fsync is the end of the process: the kernel may have dropped what it
 *    could not write, and would call the next one a success.
 * 3. When `mustSync`, record `hardState.serial` in a second place, the *floor*, and fsync that too.
 * 4. Send `messages`. A message that goes out before 2 and 3 promises what a crash takes back.
 * 5. Restore the state machine from `snapshot`; apply `committed`; serve `reads`, fail `lostReads`.
 * 6. Call {@linkcode Raft.advance}. Until then `ready` may not be called again, but everything else may.
 *
 * A proposal is done when an entry with its index *and* term comes out in `committed`; when one with
 * another term comes out there, or the member has stopped leading and a snapshot has skipped it, nobody
 * knows: the client asks again under the same request id.
 *
 * **Ticks** come in even intervals, a few per heartbeat. Only liveness depends on them: late or doubled
 * ticks cause elections, never a wrong answer.
 *
 * **Messages** may be lost, doubled, delayed, reordered, and come from members that this one does not
 * know yet. The sender's id must have been proved by the connection. `step` never throws on account of
 * a message; what an honest member cannot have sent is ignored and complained about.
 *
 * **Snapshots** are the caller's to make: {@linkcode Raft.snapshotMeta} tells the place and the
 * membership that belong to what has been applied; write it, then drop entries up to that place, or fewer. A
 * snapshot that is replaced while a leader sends it is sent again from the beginning, so make them much
 * less often than one takes to be sent, or keep the one before for a while.
 *
 * **A new cluster** begins with one member whose storage has a snapshot at index 0 that names it as
 * the only voter. Whoever joins begins with an empty membership and waits; the leader adds it as a
 * learner, and promotes it when it has caught up.
 *
 * **Lost data**: a member whose hard state has a lower serial than its floor, or to whom a leader says
 * that it has acknowledged what its log does not hold, answers nothing and votes for nobody ever
 * after ({@linkcode Raft.damage} says why): fail whatever still waits for it. Remove it, and let it
 * join under a new id.
 *
 * **Broken invariants** (paper, figure 3) throw `InvariantError` out of whatever call finds them: this
 * is a defect of the program. The process must end without saving or sending anything more.
 *
 * @module
 */
export type { Limits } from "./limits.ts";
export { MemoryStorage } from "./memory_storage.ts";
export type * from "./message.ts";
export { Raft, type RaftOptions } from "./raft.ts";
export type { Ready } from "./ready.ts";
export type { Storage } from "./storage.ts";
export {
  type Complaint,
  type ConfirmedRead,
  type Entry,
  entryBytes,
  type EntryKind,
  type HardState,
  isBefore,
  type MemberId,
  type Membership,
  type MembershipChange,
  type PeerStatus,
  type Position,
  type Proposed,
  type ReadRequested,
  type Refusal,
  type RefusalCode,
  type Role,
  type SnapshotChunk,
  type SnapshotMeta,
  type Status,
} from "./types.ts";
