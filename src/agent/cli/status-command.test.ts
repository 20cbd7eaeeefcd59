import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { agentOf } from "./agent-client.ts";
import { statusText } from "./status-command.ts";

const main = join(import.meta.dirname, "main.ts");

type Outcome = { readonly code: unknown; readonly stderr: string };

function weir(...args: string[]): Promise<Outcome> {
  return weirIn(tmpdir(), ...args);
}

function weirIn(folder: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, _stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });
}

/** Something that is no agent and answers everything with `body`. */
async function answering(t: TestContext, body: string): Promise<number> {
  const server = createServer((_request, response) => response.end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const bound = server.address();
  assert.ok(typeof bound === "object" && bound !== null);
  return bound.port;
}

for (const [args, complaint] of [
  [["status", "--jsn"], "unknown option --jsn, did you mean --json?"],
  [["status", "--colour"], "unknown option --colour"],
  [["status", "--url"], "--url needs a value"],
  [["status", "--json=1"], "--json takes no value"],
  [["status", "gw1"], '"gw1" is not understood here'],
  [["run", "weir.yaml"], '"weir.yaml" is not understood here'],
  [["check", "-c", "a.yaml", "b.yaml"], '"b.yaml" is not understood here'],
  [["token", "new", "--expires", "tomorrow"], "--expires is no time: a day as 2027-01-31, or"],
] as const) {
  test(`weir ${args.join(" ")} is a mistake in its use`, async () => {
    const { code, stderr } = await weir(...args);
    assert.ok(stderr.startsWith(`weir ${args[0]}: ${complaint}`), stderr);
    assert.equal(code, 2);
  });
}

test("what answers and is no agent is said, without a stack trace", async (t) => {
  for (const body of ["<html>", "[]", '{"agent":"x"}', "null"]) {
    const port = await answering(t, body);
    const { code, stderr } = await weir("status", "--url", `http://127.0.0.1:${port}`);
    assert.match(stderr, /^weir: what answers at http:.* is no agent that this weir knows/);
    assert.equal(code, 1);
  }
});

test("the configuration says where to ask, unless the command does", async (t) => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-status-"));
  const config = join(folder.path, "weir.yaml");
  const write = (http: string): void =>
    writeFileSync(config, `version: 1\nsources: [{ name: p, topics: [p] }]\nhttp: ${http}\n`);
  const port = await answering(t, "configured");
  write(`{ port: ${port} }`);
  const configured = await weir("status", "-c", config);
  assert.match(configured.stderr, new RegExp(`answers at http://127.0.0.1:${port} is no agent`));
  const here = await weirIn(folder.path, "status");
  assert.equal(here.stderr, configured.stderr, "one that lies here is the one");
  const other = await answering(t, "said");
  const said = await weir("status", "-c", config, "--url", `http://127.0.0.1:${other}`);
  assert.match(said.stderr, new RegExp(`answers at http://127.0.0.1:${other} is no agent`));
  write("off");
  assert.equal((await weir("status", "-c", config)).code, 2);
});

test("an agent on all addresses is asked on this machine", () => {
  const urlOf = (host: string): string => agentOf({ http: { host, port: 1 } }).url;
  assert.deepEqual(["0.0.0.0", "::", "fd00::1", "10.0.0.5"].map(urlOf), [
    "http://127.0.0.1:1",
    "http://[::1]:1",
    "http://[fd00::1]:1",
    "http://10.0.0.5:1",
  ]);
});

test("the topic of commands and that of savepoints have their lines, where there are any", () => {
  const { raw } = sampleStatus;
  const without = { ...sampleStatus, raw: { ...raw }, savepoints: undefined };
  delete without.raw.commands;
  assert.doesNotMatch(statusText(without), /^(commands|savepoint) /m);
  const counts = { taken: 3, refused: 1, elsewhere: 7, unreadable: 0, gone: 2 };
  const commands = { topic: "weir.commands", state: "waiting", ...counts } as const;
  const savepoints = {
    topic: "weir.savepoints",
    state: "sending",
    sentChunks: 2,
    chunks: 9,
    last: { made: 1_764_000_000_000, number: 4, position: 812, bytes: 70_000 },
    isLate: true,
    published: 4,
    failures: 1,
    trouble: "the cluster refuses it",
  } as const;
  const lastRefused = "weir.commands/0 at offset 5: id is missing";
  const text = statusText({
    ...without,
    raw: { ...raw, commands: { ...commands, trouble: "no answer", lastRefused } },
    savepoints,
  });
  assert.ok(
    text.includes(`
commands  weir.commands waiting: 3 taken, 1 refused, 0 unreadable, 2 offsets gone before they were read
          no answer
          last refused: weir.commands/0 at offset 5: id is missing
savepoint weir.savepoints sending, 2 of 9 chunks: last of 2025-11-24T16:00:00.000Z at position 812, 68 KiB, the next is late
          the cluster refuses it
`),
    text,
  );
  const first = { ...savepoints, state: "waiting", last: undefined, isLate: false } as const;
  assert.match(
    statusText({ ...without, savepoints: { ...first, trouble: undefined } }),
    /^savepoint weir\.savepoints waiting: none since the start$/m,
  );
});

test("one of each is told as one", () => {
  const [broker] = sampleStatus.brokers;
  assert.ok(broker !== undefined);
  const counters = { ...broker.counters, reconnects: 1, sessionsLost: 1 };
  const savepoints = {
    topic: "weir.savepoints",
    state: "sending",
    sentChunks: 0,
    chunks: 1,
    last: undefined,
    isLate: false,
    published: 0,
    failures: 0,
    trouble: undefined,
  } as const;
  const text = statusText({ ...sampleStatus, brokers: [{ ...broker, counters }], savepoints });
  assert.match(text, /^broker .*, 1 reconnect, 1 session lost/m);
  assert.match(text, /^savepoint weir\.savepoints sending, 0 of 1 chunk: /m);
});
