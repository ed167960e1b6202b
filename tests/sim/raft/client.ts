import { encodeBase32, encodeUtf8, type Id, present, sha256 } from "../../../src/base/mod.ts";
import type { Outcome } from "../../../src/state/mod.ts";
import type { Call, Operation } from "./history.ts";
import type { Manager, World } from "./manager.ts";
import type { Answer, Request } from "./service.ts";

/** Longer than an answer takes when all is well. */
const ANSWER_MS = 300;
/** After that a client does not ask any more. */
const GIVE_UP_MS = 2500;

/** The id of the object of that name. */
export function idOf(name: string): Id {
  return encodeBase32(sha256(encodeUtf8(name)).slice(0, 16));
}

/** One operation under way. */
interface Task {
  readonly register: Id;
  readonly request: Request;
  /** Gives what became of it, or null when that cannot be known yet. */
  readonly read: (answer: Answer) => Operation | null;
  /** What is known when nobody answers. */
  readonly unanswered: Operation | null;
}

/** A call, and on which register. */
export interface Made {
  readonly register: Id;
  readonly call: Call;
}

/**
 * Does one operation after the other, as a person's program would: asks whom it takes for the leader,
 * goes where it is sent, and asks again, under the same request id, when there is no answer.
 */
export class Client {
  readonly name: string;
  /** What it has asked for and seen. */
  readonly calls: Made[] = [];
  /** What it is waiting for. */
  #waiting: Made | null = null;
  readonly #world: World;
  readonly #registers: readonly Id[];
  #count = 0;
  #lastSeen = new Map<Id, number>();
  #target: Manager | null = null;
  /** Whose turn it is when nobody is known to lead. */
  #turn: number | null = null;
  #timeMs = 0;
  /** Whether it goes on when it is done. */
  active = true;

  constructor(name: string, registers: readonly Id[], world: World) {
    this.name = name;
    this.#registers = registers;
    this.#world = world;
  }

  /** How many operations were answered. */
  get answered(): number {
    return this.calls.filter(({ call }) => call.ended !== Infinity).length;
  }

  /** What it has asked for of one register; what is not answered yet may happen any time. */
  callsOf(register: Id): Call[] {
    const all = this.#waiting === null ? this.calls : [...this.calls, this.#waiting];
    return all.filter((made) => made.register === register).map(({ call }) => call);
  }

  /** Does operations until it is told to stop. */
  run(): void {
    const { prng, timeline } = this.#world;
    timeline.after(prng.between(1, 120), () => {
      if (this.active) this.#perform(this.#draw(), () => this.run());
    });
  }

  /** Sends one command until it is done. */
  insist(kind: string, body: unknown, then: () => void): void {
    const request = this.#write(kind, body);
    this.#perform({
      register: "",
      request,
      read: (answer) => answer.kind === "done" ? { kind: "write", value: "", revision: 0 } : null,
      unanswered: null,
    }, (ended) => ended ? then() : this.insist(kind, body, then));
  }

  #draw(): Task {
    const { prng } = this.#world;
    const register = prng.pick(this.#registers);
    const expected = this.#lastSeen.get(register);
    const value = `${this.name}-${++this.#count}`;
    // Generated ids are remembered for a minute of state time from the time that a client knows.
    if (prng.chance(0.45) || this.#timeMs === 0) return this.#readTask(register);
    const body = { id: register, labels: { value } };
    if (prng.chance(0.6) || expected === undefined) {
      return {
        register,
        request: this.#write("network.update", body),
        read: (answer) => {
          const outcome = outcomeOf(answer);
          return outcome?.ok === true
            ? { kind: "write", value, revision: Number(outcome.value.revision) }
            : null;
        },
        unanswered: { kind: "write", value, revision: null },
      };
    }
    return {
      register,
      request: this.#write("network.update", { ...body, ifRevision: expected }),
      read: (answer) => {
        const outcome = outcomeOf(answer);
        if (outcome === null) return null;
        if (outcome.ok) {
          return { kind: "swap", expected, value, result: Number(outcome.value.revision) };
        }
        return outcome.rejection.code === "revision-mismatch"
          ? { kind: "swap", expected, value, result: "mismatch" }
          : null;
      },
      unanswered: { kind: "swap", expected, value, result: null },
    };
  }

  #readTask(register: Id): Task {
    return {
      register,
      request: { kind: "read", networkId: register },
      read: (answer) => {
        if (answer.kind !== "seen") return null;
        if (answer.network !== null) this.#lastSeen.set(register, answer.network.revision);
        return { kind: "read", seen: answer.network ?? { value: "(none)", revision: null } };
      },
      unanswered: null,
    };
  }

  #write(kind: string, body: unknown): Request {
    const { prng } = this.#world;
    const requestId = `${this.name}/${++this.#count}`;
    // Half of them as the leader's generated ids, half as a client's own keys.
    const from = prng.chance(0.5) && this.#timeMs > 0 ? this.#timeMs : null;
    const command = {
      v: 1,
      kind,
      requestId,
      principal: this.name,
      bodyHash: requestId,
      from,
      body,
    };
    return { kind: "write", command: command as Extract<Request, { kind: "write" }>["command"] };
  }

  #made(task: Task, operation: Operation | null, began: number, ended: number): Made | null {
    if (operation === null || task.register === "") return null;
    return { register: task.register, call: { client: this.name, operation, began, ended } };
  }

  /** One after the other, for some may be gone for good. */
  #nextManager(): Manager {
    const { prng, managers } = this.#world;
    this.#turn ??= prng.below(100);
    const all = managers();
    return present(all[this.#turn++ % all.length], "a manager");
  }

  #perform(task: Task, then: (ended: boolean) => void): void {
    const { timeline, prng, managers, trace } = this.#world;
    const began = timeline.count;
    const beganMs = timeline.nowMs;
    let settled = false;
    let attempt = 0;
    this.#waiting = this.#made(task, task.unanswered, began, Infinity);
    const finish = (operation: Operation | null, ended: number) => {
      if (settled) return;
      settled = true;
      trace(() =>
        `${this.name} ${ended === Infinity ? "hears nothing of" : "has done"} ` +
        JSON.stringify({ register: this.#registers.indexOf(task.register), ...operation })
      );
      const made = this.#made(task, operation, began, ended);
      if (made !== null) this.calls.push(made);
      this.#waiting = null;
      then(ended !== Infinity);
    };
    const ask = () => {
      if (settled) return;
      if (timeline.nowMs - beganMs > GIVE_UP_MS) return finish(task.unanswered, Infinity);
      const asked = ++attempt;
      const again = (delayMs: number) => timeline.after(delayMs, () => asked === attempt && ask());
      const target = this.#target ?? this.#nextManager();
      const heard = (answer: Answer) => {
        timeline.after(prng.between(1, 4), () => {
          if (settled || prng.chance(0.02)) return;
          if ("timeMs" in answer) this.#timeMs = Math.max(this.#timeMs, answer.timeMs);
          const operation = task.read(answer);
          if (operation !== null) return finish(operation, timeline.count);
          if (asked !== attempt) return;
          this.#target = answer.kind === "refused"
            ? managers().find(({ id }) => id === answer.leader) ?? null
            : null;
          again(prng.between(5, 40));
        });
      };
      timeline.after(prng.between(1, 4), () => target.request(task.request, heard));
      timeline.after(ANSWER_MS, () => {
        if (asked !== attempt || settled) return;
        this.#target = null;
        ask();
      });
    };
    ask();
  }
}

function outcomeOf(answer: Answer): Outcome | null {
  return answer.kind === "done" ? answer.outcome : null;
}
