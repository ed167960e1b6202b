import assert from "node:assert/strict";
import { encodeBase32, encodeBase64url } from "../base/mod.ts";
import {
  decideSa,
  decodeJournal,
  encodeJournalHeader,
  encodeJournalRecord,
  type Installation,
  Journal,
  type KernelSa,
  type SaDecision,
} from "./mod.ts";

const id = (byte: number) => encodeBase32(new Uint8Array(16).fill(byte));
const digest = (byte: number) => encodeBase64url(new Uint8Array(32).fill(byte));
const KEY = digest(0);

const record: Installation = {
  direction: "out",
  peer: id(1),
  network: id(2),
  epoch: 5,
  spi: 0xa0010001,
  context: digest(3),
};
/** The same place, derived from something else: a peer that rebooted. */
const later: Installation = { ...record, context: digest(4) };

function written(...records: readonly Installation[]): Journal {
  const journal = new Journal();
  for (const one of records) journal.add(one);
  return journal;
}

Deno.test("a record is one line that a person can read", () => {
  assert.equal(
    encodeJournalRecord(record),
    `install out ${id(1)} ${id(2)} 5 0xa0010001 ${digest(3)}\n`,
  );
  assert.equal(encodeJournalHeader(KEY), `agent-journal 1 ${KEY}\n`);
});

Deno.test("what was written is read, for the boot key that it is of", () => {
  const text = encodeJournalHeader(KEY) + encodeJournalRecord(record) + encodeJournalRecord(later);
  const reading = decodeJournal(text, KEY);
  assert.ok(reading.kind === "intact");
  assert.equal(reading.validLength, text.length);
  assert.equal(reading.journal.size, 2);
  assert.ok(reading.journal.has(record) && reading.journal.has(later));
  assert.equal(reading.journal.latest(record)?.context, later.context);
  assert.ok(!reading.journal.has({ ...record, context: digest(9) }));
  assert.deepEqual(decodeJournal(text, digest(1)), { kind: "damaged", line: 1 });
});

Deno.test("a line that was not finished is no record, wherever it was cut", () => {
  const head = encodeJournalHeader(KEY) + encodeJournalRecord(record);
  const last = encodeJournalRecord(later);
  for (let length = 0; length < last.length; length++) {
    const reading = decodeJournal(head + last.slice(0, length), KEY);
    assert.ok(reading.kind === "intact");
    assert.equal(reading.validLength, head.length);
    assert.ok(reading.journal.has(record) && !reading.journal.has(later));
  }
});

Deno.test("a journal with a line that is no record is not believed", () => {
  const head = encodeJournalHeader(KEY) + encodeJournalRecord(record);
  const good = encodeJournalRecord(later).trimEnd();
  const lines = [
    "",
    "install",
    "closed x 1",
    `closed ${id(7)} 0`,
    `closed ${id(7)} 1 1`,
    `remove ${good.slice(8)}`,
    `${good} more`,
    good.replace(" out ", " both "),
    good.replace(id(1), "peer"),
    good.replace(" 5 ", " five "),
    good.replace(" 5 ", " 99999999999999999 "),
    good.replace("0xa0010001", "2684420097"),
    good.slice(0, -1),
    // Half a record that was not cut off before the next one was appended.
    good.slice(0, 50) + good,
  ];
  for (const line of lines) {
    const text = `${head}${line}\n${good}\n`;
    assert.deepEqual(decodeJournal(text, KEY), { kind: "damaged", line: 3 }, line);
  }
  assert.deepEqual(decodeJournal("", KEY), { kind: "damaged", line: 1 });
});

Deno.test("retired epochs take their records with them, and never come back", () => {
  const of = (epoch: number, network = id(2)) => ({
    ...record,
    network,
    epoch,
    context: digest(epoch),
  });
  const journal = written(of(4), of(5), of(6), of(4, id(8)));
  const text = journal.compact(KEY, new Map([[id(2), 5]]));
  const reading = decodeJournal(text, KEY);
  assert.ok(reading.kind === "intact");
  assert.equal(reading.journal.size, 2);
  for (const one of [of(4), of(5), of(6), of(4, id(8))]) assert.ok(reading.journal.has(one));
  // Also one that was never installed: nobody knows any more.
  assert.ok(reading.journal.has({ ...of(5), context: digest(99) }));
  assert.ok(!reading.journal.has({ ...of(6), context: digest(99) }));
  const again = decodeJournal(reading.journal.compact(KEY, new Map([[id(2), 1]])), KEY);
  assert.ok(again.kind === "intact" && again.journal.has({ ...of(5), context: digest(99) }));
});

Deno.test("the journal and the kernel together say what to do", () => {
  const table: readonly [KernelSa, Journal, SaDecision][] = [
    ["absent", written(), "install"],
    ["absent", written(record), "closed"],
    ["absent", written(record, later), "closed"],
    ["absent", written(later), "install"],
    ["larval", written(), "fill"],
    ["larval", written(record), "closed"],
    ["present", written(record), "adopt"],
    ["present", written(later, record), "adopt"],
    // Another of ours, or one from a former boot key.
    ["present", written(later), "replace"],
    ["present", written(), "replace"],
    // What is there is the later one, and the wanted one was there before it.
    ["present", written(record, later), "closed"],
  ];
  for (const [kernel, journal, expected] of table) {
    assert.equal(decideSa(kernel, record, journal), expected, `${kernel} ${journal.size}`);
  }
});
