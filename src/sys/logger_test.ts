import assert from "node:assert/strict";
import type { Logger } from "../base/mod.ts";
import { createLogger, type LogLevel } from "./logger.ts";
import { spawnScript } from "./test_script.ts";

/** What `use` logs, parsed. */
function logged(level: LogLevel, use: (logger: Logger) => void): Record<string, unknown>[] {
  let text = "";
  const write = (line: Uint8Array) => {
    text += new TextDecoder().decode(line);
  };
  use(createLogger({ level, write }));
  assert(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

Deno.test("a line is JSON with time, level, message and fields", () => {
  const [line] = logged("info", (logger) => {
    logger.info("Sandbox made\n", { network: "shop", vni: 4096, gone: undefined });
  });
  assert(line !== undefined);
  const { time, ...rest } = line;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.deepEqual(rest, {
    level: "info",
    message: "Sandbox made\n",
    network: "shop",
    vni: 4096,
  });
});

Deno.test("only what is important enough is written", () => {
  const all = (logger: Logger) => {
    logger.debug("d");
    logger.info("i");
    logger.warn("w");
    logger.error("e");
  };
  const messages = (level: LogLevel) => logged(level, all).map(({ message }) => message).join("");
  assert.equal(messages("debug"), "diwe");
  assert.equal(messages("info"), "iwe");
  assert.equal(messages("warn"), "we");
  assert.equal(messages("error"), "e");
});

Deno.test("fields are inherited and overridden, but never replace the message", () => {
  const [first, second] = logged("info", (logger) => {
    const inner = logger.with({ a: 1, b: 2 }).with({ b: 3 });
    inner.info("x", { b: 4, c: 5 });
    inner.info("y", { message: "forged", level: "error" });
  });
  assert.deepEqual([first?.a, first?.b, first?.c], [1, 4, 5]);
  assert.deepEqual([second?.b, second?.message, second?.level], [3, "y", "info"]);
});

Deno.test("lines that cannot be written are dropped and counted", () => {
  const lines: string[] = [];
  let full = false;
  const logger = createLogger({
    level: "info",
    write: (line) => {
      if (full) throw new Error("No space left on device");
      lines.push(new TextDecoder().decode(line));
    },
  });
  const write = (state: boolean, message: string) => {
    full = state;
    logger.with({}).info(message);
  };
  write(false, "before");
  write(true, "lost");
  write(true, "lost");
  write(false, "after");
  write(false, "later");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)).map(({ message, droppedLines }) => [
      message,
      droppedLines,
    ]),
    [["before", undefined], ["after", 2], ["later", undefined]],
  );
});

Deno.test("a process whose stderr is a full disk goes on", async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve("./logger.ts"))};
    createLogger({ level: "info" }).error("nobody reads this");
    console.log("still here");
  `;
  const { stdout } = await new Deno.Command("sh", {
    cwd: new URL(".", import.meta.url),
    args: ["-c", 'exec "$0" eval --quiet "$1" 2>/dev/full', Deno.execPath(), script],
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "still here\n");
});

Deno.test("lines go to stderr", async () => {
  const child = spawnScript('sys.createLogger({ level: "info" }).warn("disk nearly full");');
  const { stderr } = await child.output();
  assert.match(new TextDecoder().decode(stderr), /^\{.*"message":"disk nearly full".*\}\n$/);
});
