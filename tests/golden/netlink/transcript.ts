/**
 * Reads and writes the recorded conversations beside this file. A file begins with what recorded it;
 * then come blocks, one per command:
 *
 *     $ ip route get 192.0.2.9        the command
 *     > 24000000 1a000100 …           a datagram that it sent
 *     < 38000000 18000000 …           a datagram that the kernel sent
 *
 * in groups of 4 bytes; a line that begins with spaces goes on with the datagram before it.
 * Sequence numbers and port IDs are zero.
 */

/** One datagram. */
export interface Datagram {
  /** The descriptor of the socket, while a trace is read. */
  readonly socket?: string;
  readonly direction: "sent" | "received";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** One command and what went to and fro for it. */
export interface Conversation {
  readonly command: string;
  readonly datagrams: readonly Datagram[];
}

const NLMSG_ERROR = 2;

/** Reads a file of conversations. */
export function parseTranscript(text: string): Conversation[] {
  const conversations: { command: string; lines: string[] }[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("$ ")) conversations.push({ command: line.slice(2), lines: [] });
    else if (/^[<>] /.test(line)) conversations.at(-1)?.lines.push(line);
    else if (line.startsWith("  ")) {
      conversations.at(-1)?.lines.push(conversations.at(-1)?.lines.pop() + line);
    }
  }
  return conversations.map(({ command, lines }) => ({
    command,
    datagrams: lines.map((line) => ({
      direction: line.startsWith(">") ? "sent" : "received",
      bytes: fromHex(line.slice(2).replaceAll(" ", "")),
    })),
  }));
}

/** Writes one block. */
export function formatConversation({ command, datagrams }: Conversation): string {
  const lines = [`$ ${command}`];
  for (const { direction, bytes } of datagrams) {
    const words = toHex(bytes).match(/.{1,8}/g) ?? [];
    for (let start = 0; start < words.length; start += 8) {
      const mark = start > 0 ? " " : direction === "sent" ? ">" : "<";
      lines.push(`${mark} ${words.slice(start, start + 8).join(" ")}`);
    }
  }
  return lines.join("\n") + "\n";
}

/**
 * What `strace -e trace=sendmsg,sendto,recvmsg -e write=all -e read=all` shows. Reads that only
 * peeked have no bytes; probes without a sequence number are iproute2's own business.
 */
export function parseStrace(text: string): Datagram[] {
  const datagrams: { direction: "sent" | "received"; socket: string; hex: string }[] = [];
  for (const line of text.split("\n")) {
    const call = /^(sendmsg|sendto|recvmsg)\((\d+),/.exec(line);
    if (call !== null) {
      const [, name, socket = ""] = call;
      datagrams.push({ direction: name === "recvmsg" ? "received" : "sent", socket, hex: "" });
      continue;
    }
    const dump = /^ \| [0-9a-f]{5,} {2}((?:[0-9a-f]{2} {1,2}){1,16})/.exec(line);
    const last = datagrams.at(-1);
    if (dump !== null && last !== undefined) last.hex += (dump[1] ?? "").replaceAll(" ", "");
  }
  return datagrams.filter(({ hex }) => hex !== "")
    .map(({ direction, socket, hex }) => ({ direction, socket, bytes: fromHex(hex) }));
}

/**
 * The last exchange of a kind in a command's trace, and only that: iproute2 also looks up names and
 * ifindexes, even between the parts of a dump, and probes without a sequence number.
 *
 * @param type `RTM_…` of the request
 */
export function lastExchange(datagrams: readonly Datagram[], type: number): Datagram[] {
  const word = ({ bytes }: Datagram, offset: number) =>
    new DataView(bytes.buffer).getUint32(offset, true);
  const start = datagrams.findLastIndex((datagram) =>
    datagram.direction === "sent" && (word(datagram, 4) & 0xffff) === type &&
    word(datagram, 8) !== 0
  );
  const request = datagrams[start];
  if (request === undefined) throw new TypeError(`The command sent no message of type ${type}`);
  const answers = datagrams.slice(start + 1).filter((datagram) =>
    datagram.direction === "received" && datagram.socket === request.socket &&
    word(datagram, 8) === word(request, 8)
  );
  return [request, ...answers].map(normalize);
}

/** Zeroes what differs from run to run, and cuts what iproute2 sends beyond the message. */
export function normalize({ direction, bytes }: Datagram): Datagram {
  const view = new DataView(bytes.buffer);
  let offset = 0;
  while (offset + 16 <= bytes.length) {
    const length = view.getUint32(offset, true);
    if (length < 16) break;
    view.setBigUint64(offset + 8, 0n);
    if (direction === "received" && view.getUint16(offset + 4, true) === NLMSG_ERROR) {
      view.setBigUint64(offset + 16 + 4 + 8, 0n);
    }
    offset += (length + 3) & ~3;
    // iproute2 sends its whole buffer with some requests.
    if (direction === "sent") break;
  }
  return { direction, bytes: bytes.slice(0, offset) };
}

function fromHex(hex: string): Uint8Array<ArrayBuffer> {
  const pairs = hex.match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16));
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// As a program: transcript.ts TYPE COMMAND…, strace's output on standard input.
if (import.meta.main) {
  const [type = "", ...command] = Deno.args;
  const trace = parseStrace(await new Response(Deno.stdin.readable).text());
  // Type 0: a listener, of which all that was received counts.
  const datagrams = type === "0"
    ? trace.filter(({ direction }) => direction === "received").map(normalize)
    : lastExchange(trace, Number(type));
  await new Response(formatConversation({ command: command.join(" "), datagrams }) + "\n").body
    ?.pipeTo(Deno.stdout.writable);
}
