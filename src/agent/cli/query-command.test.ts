/** `weir query` against the real server, over a table store that was filled by hand. */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createServer } from "node:http";
import { test, type TestContext } from "node:test";
import { plantRig, QueryRig, start } from "../../../test/support/query-rig.ts";

const main = join(import.meta.dirname, "main.ts");

type Said = { readonly code: unknown; readonly stdout: string; readonly stderr: string };

function query(port: number, ...args: string[]): Promise<Said> {
  const command = [main, "query", "--url", `http://127.0.0.1:${port}`, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, command, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stdout, stderr }),
    );
  });
}

async function plant(t: TestContext): Promise<number> {
  return await (await plantRig()).serve(t);
}

const day = new Date(start).toISOString().slice(0, 10);

test("a selector and a step, and options in any order", async (t) => {
  const port = await plant(t);
  const said = await query(
    port,
    "--step",
    "30s",
    "temp*{device=p1}",
    "--from",
    day,
    "--to",
    `${start + 60_000}`,
  );
  assert.deepEqual(said, {
    code: 0,
    stdout: `start                 count  min  max  mean  series                         source
${day}T00:00:00Z     30    0   29  14.5  temperature{device=p1,line=a}  plant
${day}T00:00:30Z     30   30   59  44.5  temperature{device=p1,line=a}  plant
`,
    stderr: "",
  });
});

test("without more than a selector, the latest reading of each series", async (t) => {
  const port = await plant(t);
  const said = await query(port, "{line=a}", "{device=q1}");
  assert.deepEqual(said.stdout.trimEnd().split("\n"), [
    "time                  value  series                         source",
    `${day}T00:00:59Z     59  temperature{device=p1,line=a}  plant`,
    `${day}T00:00:59Z     59  temperature{device=p2,line=a}  plant`,
    `${day}T00:00:59Z     59  temperature{device=q1,line=b}  lab`,
  ]);
  const none = await query(port, "{line=c}");
  assert.deepEqual(none, {
    code: 0,
    stdout: "",
    stderr:
      "weir: no series is meant by that: there are temperature{device=p1,line=a} of plant, mode{device=p1,line=a} of plant, temperature{device=p2,line=a} of plant, mode{device=p2,line=a} of plant, temperature{device=q1,line=b} of lab and others: weir query --series lists all\n",
  });
  const few = new QueryRig();
  await few.tables.open();
  const fewAt = await few.serve(t);
  const nothing = await query(fewAt, "{line=c}");
  assert.deepEqual(
    [nothing.code, nothing.stderr],
    [0, "weir: no series is meant by that: there is none yet, because no reading was kept\n"],
  );
  few.define("plant", [["device", "p1"]], ["flow", "level"]);
  const { stderr } = await query(fewAt, "temp", "--readings", "--from", "-1d");
  assert.equal(
    stderr,
    "weir: no series is meant by that: there is no other than flow{device=p1} of plant, level{device=p1} of plant\n",
  );
});

test("readings as JSON are the lines of the answer, with their end", async (t) => {
  const port = await plant(t);
  const span = ["--from", `${start}`, "--to", `${start + 60_000}`];
  const { stdout } = await query(port, "temperature{device=p1}", "--readings", ...span, "--json");
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 61);
  assert.equal(lines[60], '{"end":{"complete":true,"rows":60,"series":1}}');
  const limited = await query(port, "--readings", ...span, "--limit", "2", "--explain");
  assert.equal(limited.stdout.split("\n").length, 4);
  assert.equal(
    limited.stderr,
    "weir: there are more rows than --limit\nweir: cost: 0 tables, 0 blocks, 60 rows\n",
  );
  const distinct = await query(port, "--distinct", "devices", ...span);
  assert.match(distinct.stdout, /^count {2}of\n {4}3 {2}devices\n$/);
});

test("a minus before a time is no option, and what is a mistake is said in the agent's words", async (t) => {
  const port = await plant(t);
  const recent = await query(port, "--from", "-1d", "--readings");
  assert.deepEqual(recent, {
    code: 0,
    stdout: "",
    stderr: "weir: of these series nothing is kept in that span: --from and --to choose another\n",
  });
  for (const [args, complaint] of [
    [["--from", "tomorrow"], /^weir query: from must be a time such as -7d/],
    [["temp{"], /^weir query: selector "temp\{", after 5 characters/],
    [["--latest", "--readings"], /^weir query: say either --readings or --latest/],
    [["--form", "1"], /^weir query: unknown option --form, did you mean --from\?/],
  ] as const) {
    const { code, stderr } = await query(port, ...args);
    assert.match(stderr, complaint);
    assert.equal(code, 2);
  }
});

test("an answer that breaks off, or is none of an agent, is a failure", async (t) => {
  for (const [body, complaint] of [
    ['{"source":"a","series":"b{}","time":1,"value":2}\n', /^weir: the answer ends before its end/],
    ["<html>", /^weir: what answers is no agent that this weir knows/],
    [
      '{"end":{"complete":false,"rows":0,"error":"deadline","message":"too long"}}\n',
      /^weir: too long/,
    ],
  ] as const) {
    const server = createServer((_request, response) => response.end(body));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const bound = server.address();
    assert.ok(typeof bound === "object" && bound !== null);
    const { code, stderr } = await query(bound.port);
    assert.match(stderr, complaint);
    assert.equal(code, 1);
  }
});

test("whoever has seen enough ends it", async (t) => {
  const rig = await plantRig({ rowsMax: 1_000_000 });
  rig.fill(1, { count: 400_000, everyMs: 100 });
  const port = await rig.serve(t);
  const url = `http://127.0.0.1:${port}`;
  const span = ["--from", `${start}`, "--to", `${2 * start}`];
  const child = spawn(process.execPath, [main, "query", "--url", url, "--readings", ...span]);
  await once(child.stdout, "data");
  child.stdout.destroy();
  const [code] = (await once(child, "exit")) as [unknown];
  assert.equal(code, 0);
});
