import type { Core } from "./core.ts";
import { majorityOf } from "./membership.ts";
import type { PreVote, PreVoteReply, Vote, VoteReply } from "./message.ts";
import { isBefore, type Position } from "./types.ts";

/**
 * Stands for election: first asks who would agree, so that a member that cannot win does not depose
 * a leader by its mere term (thesis, 9.6).
 */
export function campaign(core: Core): void {
  if (!core.mayLead || core.role.kind === "leader") return;
  core.becomePreCandidate();
  requestVotes(core, (last) => ({ kind: "pre-vote", term: core.term + 1, last }));
  answer(core, core.id, "granted");
}

/** Stands for election at once, for the leader has asked for it. */
export function campaignForTransfer(core: Core): void {
  if (!core.mayLead || core.role.kind === "leader") return;
  stand(core, { transfer: true });
}

function stand(core: Core, { transfer }: { readonly transfer: boolean }): void {
  core.becomeCandidate();
  requestVotes(core, (last) => ({ kind: "vote", term: core.term, last, transfer }));
  answer(core, core.id, "granted");
}

function requestVotes(
  core: Core,
  letter: (last: Position) => Omit<PreVote, "from" | "to"> | Omit<Vote, "from" | "to">,
): void {
  const { term, index } = core.log.last;
  for (const id of core.history.current.voters) {
    if (id !== core.id) core.send(id, letter({ term, index }));
  }
}

/** Would this member vote? It does not, as long as there is a leader. */
export function onPreVote(core: Core, message: PreVote): void {
  const granted = message.term > core.term && !core.hearsLeader && isUpToDate(core, message.last);
  // A grant is about the term that was asked for, a refusal tells the asker what it has missed.
  const term = granted ? message.term : core.term;
  core.send(message.from, { kind: "pre-vote-reply", term, granted });
}

export function onPreVoteReply(core: Core, message: PreVoteReply): void {
  if (!message.granted && message.term > core.term) {
    core.becomeFollower(message.term, null);
  } else if (core.role.kind === "pre-candidate") {
    if (message.granted && message.term !== core.term + 1) return;
    answer(core, message.from, message.granted ? "granted" : "refused");
  }
}

/** RequestVote (paper, figure 2). */
export function onVote(core: Core, message: Vote): void {
  const { from, term } = message;
  if (term > core.term) {
    // Who still hears a leader helps nobody to depose it, not even by taking over the term: a
    // member that was removed, or cut off for a while, may ask as often as it likes (thesis, 4.2.3).
    if (core.hearsLeader && !message.transfer) return;
    core.becomeFollower(term, null);
  }
  const granted = term === core.term &&
    (core.vote === from || (core.vote === null && core.leader === null)) &&
    isUpToDate(core, message.last);
  if (granted) {
    core.grantVote(from);
    core.electionElapsed = 0;
  }
  core.send(from, { kind: "vote-reply", term: core.term, granted });
}

export function onVoteReply(core: Core, message: VoteReply): void {
  if (core.role.kind !== "candidate") return;
  answer(core, message.from, message.granted ? "granted" : "refused");
}

/** The election restriction: only who has all that is committed can win (paper, 5.4.1). */
function isUpToDate(core: Core, last: Position): boolean {
  return !isBefore(last, core.log.last);
}

function answer(core: Core, from: string, verdict: "granted" | "refused"): void {
  const { role } = core;
  if (role.kind !== "pre-candidate" && role.kind !== "candidate") return;
  const { voters } = core.history.current;
  role.answers.set(from, verdict);
  const count = (wanted: string) => voters.filter((id) => role.answers.get(id) === wanted).length;
  const majority = majorityOf(voters.length);
  if (count("granted") >= majority) {
    if (role.kind === "candidate") core.becomeLeader();
    else stand(core, { transfer: false });
  } else if (count("refused") > voters.length - majority) {
    core.becomeFollower(core.term, null);
  }
}
