/** The command itself, in a process of its own, on files of a few lines. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

const configuration = `version: 1
sources:
  - name: rig
    topics: ["rig/{unit}/state"]
    time: { fields: [ts] }
pipelines:
  - { name: minutes, key: [unit], window: { tumbling: 1m }, aggregate: [count] }
uplinks:
  - file: { directory: out }
`;

type Outcome = { readonly code: unknown; readonly out: string; readonly error: string };

/** What the file holds, or the path of one that is there. */
type Content = string | { readonly file: string };

async function replay(content: Content, args: readonly string[] = []): Promise<Outcome> {
  const directory = await mkdtemp(join(tmpdir(), "weir-replay-"));
  try {
    const config = join(directory, "weir.yaml");
    await writeFile(config, configuration);
    const file = typeof content === "string" ? join(directory, "rows") : content.file;
    if (typeof content === "string") await writeFile(file, content);
    const words = [file, "-c", config, "--topic", "rig/{unit}/state", "--data"];
    const child = spawn(
      process.execPath,
      [main, "replay", ...words, join(directory, "data"), ...args],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let out = "";
    let error = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (error += text));
    const [code] = (await once(child, "close")) as unknown[];
    return { code, out, error: error.replaceAll(directory, "DIR") };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** One sentence and exit code 1. */
async function assertRefused(outcome: Promise<Outcome>, sentence: string): Promise<void> {
  const { code, error } = await outcome;
  assert.equal(error, `weir: ${sentence}\n`);
  assert.equal(code, 1);
}

suite("weir replay", { concurrency: 2, timeout: 60_000 }, () => {
  test("the rows of a CSV file are readings of the ledger", async () => {
    const rows = '\ufeffts;unit;"flow; main"\n1718000000000;a;1.5\n\n1718000001000;b;2\n';
    const { code, out, error } = await replay(rows, ["--json"]);
    assert.equal(error, "");
    assert.equal(code, 0);
    assert.equal(JSON.parse(out).sources[0].readings.accepted, 2);
  });

  test("messages that cannot be decoded are told, with where to see them", async () => {
    const rows = '{"unit":"a","ts":1718000000000,"x":1}\n{"unit":"a","ts":"nonsense","x":1}\n';
    const { code, error } = await replay(rows, ["--json"]);
    assert.equal(
      error,
      "weir: 1 row could not be decoded; see why with: weir dlq list --data DIR/data\n",
    );
    assert.equal(code, 1);
  });

  test("a time column that no row has is refused with the columns there are", async () => {
    const sentence = '--time names the column "at", which no row has; there are "ts", "unit", "x"';
    await assertRefused(replay("ts,unit,x\n1,a,1\n", ["--time", "at"]), sentence);
    await assertRefused(replay('{"ts":1,"unit":"a","x":1}\n', ["--time", "at"]), sentence);
  });

  test("a row with more or fewer cells than the header is refused with its line", async () => {
    const rest =
      "cells, but the header has 3; mend the line, or name the separator with --separator";
    await assertRefused(replay("ts,unit,x\n1,a,1\n\n2,a\n"), `DIR/rows:4 has 2 ${rest}`);
    await assertRefused(replay("ts,unit,x\n1,a,1,5\n"), `DIR/rows:2 has 4 ${rest}`);
  });

  test("a quote that is not closed is refused with its line", async () => {
    await assertRefused(
      replay('ts,unit,x\n1,"a",1\n2,a,"b""\n'),
      "DIR/rows:3 has a quote that is not closed on its line; close it (cells cannot hold line breaks)",
    );
  });

  test("an empty cell in a column of the topic is refused with its line", async () => {
    await assertRefused(
      replay("ts,unit,x\n1,,1\n"),
      'DIR/rows:2 has no value in the column "unit", which --topic names; mend or remove the line',
    );
  });

  test("what cannot be read is refused with a sentence", async () => {
    const file = import.meta.dirname;
    await assertRefused(
      replay({ file }),
      `${file} is a directory; name a CSV or NDJSON file in it`,
    );
    await assertRefused(
      replay({ file: "/nonexistent" }),
      "cannot read /nonexistent (ENOENT); check the path and your right to read it",
    );
  });

  test("a file that fails while it is read is refused with a sentence", async (t) => {
    const file = "/proc/self/mem"; // opens, and its first page cannot be read
    if (!existsSync(file)) return t.skip("there is no /proc here");
    await assertRefused(
      replay({ file }),
      `cannot read ${file} (EIO); check the path and your right to read it`,
    );
  });
});
