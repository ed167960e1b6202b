import type { Applied, ClusterState, Node } from "../state/mod.ts";
import { NotLeaderError, type Store } from "../store/mod.ts";
import { RefusedError } from "./refused_error.ts";

/**
 * Sees to it that the managers go on deciding without `node`: before the command that takes it out is
 * written, for after that nobody could take it back. A leader that is to go hands the leadership over
 * first, and leaves the rest to the next one.
 *
 * @throws {RefusedError} `quorum-at-risk`, with what to do instead
 * @throws {NotLeaderError} when another manager leads now
 */
export async function requireSpareable(
  { id, facts }: Node,
  store: Store<Applied>,
  state: ClusterState,
): Promise<void> {
  const { id: self, voters, members } = store.status();
  const others = [...state.nodes.values()].filter((one) => one.role === "manager" && one.id !== id);
  // The only manager: the state itself refuses that.
  if (others.length === 0 || !voters.includes(id)) return;
  const rest = voters.filter((voter) => voter !== id);
  const isHeard = (voter: string) =>
    voter === self || members.some((member) => member.id === voter && member.isHeard);
  const silent = rest.filter((voter) => !isHeard(voter));
  if (rest.length - silent.length >= Math.floor(rest.length / 2) + 1) {
    if (id !== self) return;
    await store.transferLeadership();
    throw new NotLeaderError(store.leader);
  }
  const names = silent.map((voter) => state.nodes.get(voter)?.facts.hostname ?? voter).sort();
  throw new RefusedError({
    code: "quorum-at-risk",
    message: rest.length === 0
      ? `${facts.hostname} is the only manager that decides yet: wait until another one has caught ` +
        "up (agent status)"
      : `Without ${facts.hostname} the managers could decide nothing, for ${names.join(", ")} ` +
        `${names.length === 1 ? "does" : "do"} not answer: start what does not answer, or remove ` +
        "that first (agent node rm)",
    details: { silent },
  });
}

/**
 * Sees to it that nobody decides with a disk that he has wiped: who was demoted has thrown its log away,
 * and so must have been taken out before it becomes a manager under the same name again.
 *
 * @throws {RefusedError} `quorum-at-risk`
 */
export function requireForgotten({ id, facts }: Node, store: Store<Applied>): void {
  const { voters, learners } = store.status();
  if (!voters.includes(id) && !learners.includes(id)) return;
  throw new RefusedError({
    code: "quorum-at-risk",
    message:
      `${facts.hostname} was a manager a moment ago, and is still being taken out of those who ` +
      "decide: try again in a second",
  });
}
