import assert from "node:assert/strict";
import { killed, readUntil, spawnScript } from "./test_script.ts";
import { BlockingUnixStream } from "./unix_stream.ts";

/** A listening socket in a directory of its own. */
async function withListener(
  test: (listener: Deno.UnixListener, path: string) => Promise<void>,
): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "sys-test-" });
  try {
    const path = `${directory}/socket`;
    using listener = Deno.listen({ transport: "unix", path });
    await test(listener, path);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The connection of `child`, which must not end before. */
function accept(listener: Deno.UnixListener, child: Deno.ChildProcess): Promise<Deno.UnixConn> {
  const ended = child.status.then(({ code }) => {
    throw new Error(`It ended with ${code} and did not connect`);
  });
  return Promise.race([listener.accept(), ended]);
}

async function readExactly(connection: Deno.Conn, length: number): Promise<string> {
  const buffer = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = await connection.read(buffer.subarray(filled));
    assert(count !== null);
    filled += count;
  }
  return new TextDecoder().decode(buffer);
}

Deno.test("bytes go both ways, however many, and the end is seen", async () => {
  await withListener(async (listener, path) => {
    const size = 1 << 20;
    const child = spawnScript(`
      const stream = sys.BlockingUnixStream.connect(${JSON.stringify(path)});
      stream.write(new Uint8Array(${size}).fill(97));
      let text = "";
      for (;;) {
        const part = stream.read(5);
        if (part.length === 0) break;
        text += new TextDecoder().decode(part);
      }
      console.log(text);
      stream.close();
      stream.close();
    `);
    using connection = await accept(listener, child);
    assert.equal(await readExactly(connection, size), "a".repeat(size));
    await connection.write(new TextEncoder().encode("a long answer"));
    await connection.closeWrite();
    const { stdout } = await child.output();
    assert.equal(new TextDecoder().decode(stdout), "a long answer\n");
  });
});

Deno.test("a stream that a command inherited ends with it, even when it is killed", async () => {
  await withListener(async (listener, path) => {
    const child = spawnScript(`
      const stream = sys.BlockingUnixStream.connect(${JSON.stringify(path)});
      sys.becomeCommand({
        argv: ["sh", "-c", "echo ready; exec sleep 1000"],
        env: Deno.env.toObject(),
        keepFds: [stream.fd],
        prepare: () => stream.write(new TextEncoder().encode("lease\\n")),
      });
    `);
    using connection = await accept(listener, child);
    assert.equal(await readExactly(connection, 6), "lease\n");
    await readUntil(child, /ready/);
    const links = [...Deno.readDirSync(`/proc/${child.pid}/fd`)]
      .map(({ name }) => Deno.readLinkSync(`/proc/${child.pid}/fd/${name}`));
    assert.equal(links.filter((link) => link.startsWith("socket:")).length, 1);
    const end = connection.read(new Uint8Array(1));
    await killed(child);
    assert.equal(await end, null);
  });
});

Deno.test("when nobody listens the error names the socket", async () => {
  const missing = "/nonexistent/agent.sock";
  assert.throws(
    () => BlockingUnixStream.connect(missing),
    /connect \/nonexistent\/agent\.sock failed: .*\(ENOENT\)/,
  );
  await withListener((listener, path) => {
    listener.close();
    // Deno takes the path away with the listener; a killed one leaves it.
    Deno.writeTextFileSync(path, "");
    assert.throws(() => BlockingUnixStream.connect(path), /\(ECONNREFUSED\)/);
    return Promise.resolve();
  });
});

Deno.test("a path that no socket can have is refused", () => {
  assert.throws(() => BlockingUnixStream.connect("/" + "a".repeat(107)), RangeError);
});

Deno.test("writing to an end that is gone is an error, not a signal", async () => {
  await withListener(async (listener, path) => {
    const stream = BlockingUnixStream.connect(path);
    (await listener.accept()).close();
    assert.throws(() => stream.write(new Uint8Array(1)), /\(EPIPE\)/);
    stream.close();
    assert.throws(() => stream.read(1), /it is closed/);
  });
});
