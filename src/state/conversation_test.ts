import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { encodeBase32, encodeBase64url, encodeUtf8, type Id, sha256 } from "../base/mod.ts";
import {
  type AllowedNodes,
  type Applied,
  ClusterState,
  type Command,
  decodeEntry,
  DEFAULT_SETTINGS,
  encodeEntry,
  type Entry,
  type Labels,
  type NetworkKeys,
  type NodeFacts,
} from "./mod.ts";

type Options = Readonly<Record<string, string>>;

/** The id that a conversation gives to the object of that name. */
export function idOf(name: string): Id {
  return encodeBase32(sha256(encodeUtf8(`id ${name}`)).slice(0, 16));
}

/** A hash that a conversation calls by that name. */
export function hashOf(name: string): string {
  return encodeBase64url(sha256(encodeUtf8(name)));
}

/** What a host says of itself, where nothing else is asked for. */
export function factsOf(hostname: string, options: Options = {}): NodeFacts {
  const number = Number(/[0-9]*$/.exec(hostname)?.[0] ?? 0);
  const vtepAddress = options.vtep ?? `192.0.2.${number}`;
  return {
    hostname: options.hostname ?? hostname,
    controlAddress: options.control ?? "192.0.2.1:7443",
    vtepAddress,
    underlayMtuBytes: Number(options.mtu ?? 1500),
    hostRoutes: options.routes?.split(",") ?? [],
    encryption: options.encryption ?? "ok",
    agentVersion: "0.1.0",
    featureLevel: 1,
  };
}

/**
 * A cluster that is spoken to in lines of text, and answers in text: `network shop mtu=1400`.
 * Objects are called by name; ids in answers are replaced by `<name>`.
 */
export class Conversation {
  state: ClusterState = ClusterState.empty();
  timeMs = 1_000_000_000_000;
  readonly #names = new Map<string, string>();
  #requests = 0;

  /** Compares a whole conversation: lines that begin with `>`, each followed by its answer. */
  check(transcript: string): void {
    const expected = transcript.trim().split("\n").map((line) => line.trim());
    const actual = expected.filter((line) => line.startsWith(">"))
      .flatMap((line) => [line, ...this.say(line.slice(1).trim()).split("\n")]);
    assert.equal(actual.join("\n"), expected.filter((line) => line !== "").join("\n"));
  }

  say(line: string): string {
    const [verb = "", ...words] = line.split(" ");
    if (verb === "wait") {
      this.timeMs += Number(words[0]) * 1000;
      return "ok";
    }
    return this.format(this.apply(this.command(verb, words)));
  }

  apply(command: Command, envelope: Partial<Entry> = {}): Applied {
    const entry = {
      v: 1 as const,
      requestId: `request ${++this.#requests}`,
      principal: "anyone",
      bodyHash: "hash",
      from: this.timeMs,
      at: this.timeMs,
      ...command,
      ...envelope,
    };
    return this.state.apply(decodeEntry(encodeEntry(entry as Entry)));
  }

  /** The command that a line stands for. */
  command(verb: string, words: readonly string[]): Command {
    const [name = ""] = words;
    const options: Options = Object.fromEntries(
      words.filter((word) => word.includes("=")).map((word) => {
        const at = word.indexOf("=");
        return [word.slice(0, at), word.slice(at + 1)];
      }),
    );
    const ifRevision = options.if === undefined ? {} : { ifRevision: Number(options.if) };
    const id = this.id(name);
    switch (verb) {
      case "init":
        return {
          kind: "cluster.create",
          body: {
            clusterId: this.id("cluster"),
            incarnation: this.id("incarnation"),
            authority: { roots: ["AAAA"], rootKey: "AAAA" },
            settings: { ...DEFAULT_SETTINGS, ...settingsOf(options) },
            node: this.#node(name, options, "manager"),
          },
        };
      case "set":
        return {
          kind: "cluster.update",
          body: { settings: settingsOf(options), ...ifRevision },
        };
      case "token":
        return {
          kind: "token.create",
          body: {
            id,
            secretHash: hashOf(name),
            role: options.role === "manager" ? "manager" : "worker",
            lifetimeMs: Number(options.seconds ?? 3600) * 1000,
            uses: Number(options.uses ?? 10),
          },
        };
      case "revoke":
        return { kind: "token.delete", body: { id, ...ifRevision } };
      case "join": {
        const role = options.role === "manager" ? "manager" : "worker";
        const secretHash = hashOf(options.token ?? "token");
        return { kind: "node.join", body: { secretHash, node: this.#node(name, options, role) } };
      }
      case "certify":
        return { kind: "node.certify", body: { id, certificate: certificate(options.key ?? "") } };
      case "describe":
        return { kind: "node.describe", body: { id, facts: factsOf(name, options) } };
      case "label":
        return {
          kind: "node.update",
          body: { id, labels: labelsOf(options.labels), ...ifRevision },
        };
      case "role": {
        const role = options.to === "manager" ? "manager" : "worker";
        return { kind: "node.update", body: { id, role, ...ifRevision } };
      }
      case "remove":
        return { kind: "node.remove", body: { id, ...ifRevision } };
      case "network":
        return {
          kind: "network.create",
          body: {
            id: this.id(options.id ?? name),
            name,
            labels: labelsOf(options.labels),
            allowedNodes: this.#allowed(options) ?? "any",
            ...(options.encrypted === undefined ? {} : {
              encryption: {
                secret: hashOf(options.encrypted),
                ...(options.every === undefined
                  ? {}
                  : { rotationIntervalMs: Number(options.every) * 1000 }),
              },
            }),
            ...(options.subnet === undefined ? {} : { subnet: options.subnet }),
            ...(options.mtu === undefined ? {} : { mtuBytes: Number(options.mtu) }),
          },
        };
      case "change": {
        const allowedNodes = this.#allowed(options);
        const mtuBytes = options.mtu === "none" ? null : Number(options.mtu);
        return {
          kind: "network.update",
          body: {
            id,
            ...(options.labels === undefined ? {} : { labels: labelsOf(options.labels) }),
            ...(options.mtu === undefined ? {} : { mtuBytes }),
            ...(allowedNodes === undefined ? {} : { allowedNodes }),
            ...(options.every === undefined ? {} : {
              rotationIntervalMs: options.every === "none" ? null : Number(options.every) * 1000,
            }),
            ...ifRevision,
          },
        };
      }
      case "rotate": {
        const secret = hashOf(options.secret ?? `secret ${words[1]} of ${name}`);
        return { kind: "network.rotate", body: { id, epoch: Number(words[1]), secret } };
      }
      case "retire":
        return { kind: "network.retire", body: { id, epochs: words.slice(1).map(Number) } };
      case "publish": {
        const { key = name, boot = "boot1", number = "1", incarnation = "incarnation" } = options;
        return {
          kind: "node.publish-key",
          body: {
            id,
            incarnation: this.id(incarnation),
            bootKey: {
              publicKey: hashOf(`key ${key}`),
              bootId: boot,
              reportNumber: Number(number),
            },
          },
        };
      }
      case "free":
        return {
          kind: "numbers.free",
          body: {
            slots: numbersOf(options.slots),
            indexes: numbersOf(options.indexes),
            upTo: Number(options.upTo ?? this.state.revision),
          },
        };
      case "recover": {
        const { keep, node, secrets = "" } = options;
        return {
          kind: "cluster.recover",
          body: {
            incarnation: this.id(name),
            ...(keep === undefined ? {} : { keep: this.id(keep) }),
            ...(node === undefined ? {} : { node: this.#node(node, options, "manager") }),
            secrets: secrets.split(",").filter((secret) => secret !== "").map(hashOf),
          },
        };
      }
      case "delete":
        return { kind: "network.delete", body: { id, ...ifRevision } };
      case "endpoint":
        return { kind: "endpoints.create", body: { endpoints: this.#endpoints(words) } };
      case "drop": {
        const ids = words.filter((word) => !word.includes("=")).map((word) => this.id(word));
        return { kind: "endpoints.delete", body: { ids, ...ifRevision } };
      }
      default:
        throw new TypeError(`No such line: ${verb}`);
    }
  }

  id(name: string): Id {
    const id = idOf(name);
    this.#names.set(id, name);
    return id;
  }

  format({ outcome, changed, repeated }: Applied): string {
    const parts: string[] = [];
    if (!outcome.ok) {
      const { code, field, message, details } = outcome.rejection;
      parts.push(`${code}${field === undefined ? "" : ` ${field}`}: ${message}`);
      if (details !== undefined) parts.push(JSON.stringify(details));
    } else {
      parts.push(describe(outcome.value));
      const marks = Object.entries(changed).filter(([, mark]) => mark === "changed")
        .map(([what]) => what);
      const nodes = [...changed.nodes].map((id) => `<${this.#names.get(id)}>`).sort();
      const removed = [...changed.removedNodes].map((id) => `-<${this.#names.get(id)}>`);
      const reroled = [...changed.reroledNodes].map((id) => `role<${this.#names.get(id)}>`);
      const touched = [...marks, ...nodes, ...removed, ...reroled];
      parts.push(`rev ${outcome.revision}`);
      if (touched.length > 0) parts.push(`changed ${touched.join(" ")}`);
    }
    if (repeated) parts.push("repeated");
    return parts.join(" | ").replace(
      /[a-z2-7]{26}/g,
      (id) => this.#names.has(id) ? `<${this.#names.get(id)}>` : id,
    );
  }

  #node(name: string, options: Options, role: "manager" | "worker") {
    return {
      id: this.id(options.id ?? name),
      role,
      labels: labelsOf(options.labels),
      facts: factsOf(name, options),
      certificate: certificate(options.key ?? name),
    };
  }

  #allowed(options: Options): AllowedNodes | undefined {
    if (options.allow === undefined && options.having === undefined) return undefined;
    if (options.allow === "any") return "any";
    const ids =
      options.allow?.split(",").filter((name) => name !== "").map((name) => this.id(name)) ?? [];
    return { ids, labels: labelsOf(options.having) };
  }

  /** `shop/web@host1 ip=10.64.0.9 blog/web2@host1`; `shop/-x@host1` has the id x and no name. */
  #endpoints(words: readonly string[]) {
    const endpoints: Record<string, string>[] = [];
    for (const word of words) {
      const match = /^([^/=]+)\/(-?)([^@]+)@(.+)$/.exec(word);
      if (match !== null) {
        const [, network = "", unnamed, name = "", node = ""] = match;
        endpoints.push({
          id: this.id(name),
          networkId: this.id(network),
          nodeId: this.id(node),
          ...(unnamed === "-" ? {} : { name }),
        });
      } else {
        const [key = "", value = ""] = word.split("=");
        const last = endpoints.at(-1) ?? {};
        last[key] = key === "id" ? this.id(value) : value;
      }
    }
    return endpoints as unknown as Extract<
      Command,
      { kind: "endpoints.create" }
    >["body"]["endpoints"];
  }
}

/** A certificate for the key of that name. */
export function certificate(key: string) {
  const bytes = encodeUtf8(key);
  return {
    serial: "01",
    spkiHash: hashOf(key),
    notAfterMs: 2_000_000_000_000,
    certificate: encodeBase64url(bytes),
  };
}

function labelsOf(text: string | undefined): Labels {
  if (text === undefined || text === "") return {};
  return Object.fromEntries(text.split(",").map((pair) => pair.split(":")));
}

function settingsOf(options: Options) {
  const { addressPool, ...others } = options;
  const numbers = Object.entries(others).filter(([key]) => key in DEFAULT_SETTINGS)
    .map(([key, value]) => [key, Number(value)]);
  return { ...Object.fromEntries(numbers), ...(addressPool === undefined ? {} : { addressPool }) };
}

function numbersOf(text: string | undefined): number[] {
  return text === undefined || text === "" ? [] : text.split(",").map(Number);
}

/** `slot 0 epochs 2,1 holders <host1> <host2>(left 1) due`. */
function describeKeys(
  { slot, rotationIntervalMs, epochs, holders, formerHolders, rotation }: NetworkKeys,
) {
  const every = rotationIntervalMs === null ? "" : ` every ${rotationIntervalMs / 1000}`;
  const held = holders.map(({ nodeId, leftAtEpoch }) =>
    leftAtEpoch === null ? nodeId : `${nodeId}(left ${leftAtEpoch})`
  );
  const former = formerHolders.map((nodeId) => `${nodeId}(former)`);
  const who = [...held, ...former];
  return ` slot ${slot}${every} epochs ${epochs.map(({ epoch }) => epoch)}` +
    (who.length === 0 ? "" : ` holders ${who.join(" ")}`) + (rotation === "due" ? " due" : "");
}

function describe(value: Readonly<Record<string, unknown>>): string {
  if (Array.isArray(value.slots)) return `free slots ${value.slots} indexes ${value.indexes}`;
  if (Array.isArray(value.endpoints)) return value.endpoints.map(describe).join(", ");
  if (Array.isArray(value.ids)) return `ids ${value.ids.join(" ")}`.trim();
  if ("vni" in value) {
    const mtu = value.mtuBytes === null ? "" : ` mtu ${value.mtuBytes}`;
    const keys = value.keys === null ? "" : describeKeys(value.keys as NetworkKeys);
    return `${value.name} ${value.subnet} vni ${value.vni}${mtu}${keys}`;
  }
  if ("mac" in value) return `${value.name ?? "(unnamed)"} ${value.ip} ${value.mac}`;
  if ("certificate" in value) {
    return `${value.id} ${
      new TextDecoder().decode(Buffer.from(String(value.certificate), "base64url"))
    }`;
  }
  if ("usesLeft" in value) return `token ${value.role} uses ${value.usesLeft}`;
  if ("facts" in value) return `${value.id} labels ${JSON.stringify(value.labels)}`;
  if ("settings" in value) return `settings ${value.settingsRevision}`;
  return Object.values(value).join(" ");
}
