/** `weir dlq` against a data directory, and against the real server of an agent. */

import assert from "node:assert/strict";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";
import { limits } from "../../core/limits.ts";
import { configOf, sourceDefaults } from "../config/config.ts";
import { digestOfToken } from "../http/tokens.ts";
import { startAgent } from "../start.ts";

const COMMIT_MS_MAX = 60_000;

const token = "weir_viewer_0123456789012345678901234567";

test("a running agent says over HTTP what its data directory says, each letter with its reason", async (t) => {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-dlq-"));
  const data = join(folder.path, "data");
  const config = configOf({
    agent: "gw1",
    dataDirectory: data,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{device}"] }],
    http: {
      host: "127.0.0.1",
      port: 0,
      tokens: [{ name: "me", digest: digestOfToken(token), role: "viewer" }],
    },
  });
  const agent = await startAgent(config, {
    onFailed: (fault) => {
      throw fault;
    },
  });
  t.after(async () => {
    await agent.close();
    folder[Symbol.dispose]();
  });
  const many = Array.from({ length: limits.readingsPerMessageMax + 1 }, (_, v) => ({ v }));
  for (const payload of [
    '{"a":',
    JSON.stringify(many),
    '{"ts":"x","a":1}',
    '{"ts":"2026-11-29T20:00:00","a":1}',
    '{"tmp":{"a":[1,2,3]},"temperature":1}',
    '{"temperature":1e999}',
    '{"\\u001b[2J":1e999}',
  ]) {
    await agent.feeder.feed("plant/p1", Buffer.from(payload));
  }
  await agent.feeder.settled();
  // Durable in the log; they are kept by the commit after that.
  const giveUpAt = performance.now() + COMMIT_MS_MAX;
  while (agent.status().deadLetters.total < 7) {
    assert.ok(performance.now() < giveUpAt, `they are committed within ${COMMIT_MS_MAX} ms`);
    await new Promise(setImmediate);
  }
  const file = join(folder.path, "token");
  writeFileSync(file, `${token}\n`);
  const url = `http://127.0.0.1:${agent.httpPort}`;
  const there = ["--url", url, "--token-file", file];
  const here = ["--data", data];

  const listed = await weir("dlq", "list", ...there);
  assert.equal(listed.code, 0, listed.output);
  assert.match(
    listed.out,
    /5 .* number_invalid +temperature +15 .*\n.*4 .* shape_unsupported +tmp\.a +.*\n.*3 .* time_invalid .*\n.*2 .* time_invalid .*\n.*1 .* too_many_readings .*\n.*0 .* json_invalid/,
  );
  assert.deepEqual(await weir("dlq", "list", ...here), listed);
  const two = await weir("dlq", "list", "--limit", "2", "--json", ...there);
  assert.deepEqual(
    JSON.parse(two.out).map(({ number }: { readonly number: number }) => number),
    [6, 5],
  );
  assert.deepEqual(await weir("dlq", "list", "--limit", "2", "--json", ...here), two);

  const shown = await weir("dlq", "show", "1", ...there);
  assert.match(shown.out, /^source +plant$/m);
  assert.match(
    shown.out,
    /^reason +too_many_readings at byte \d+ of \d+\n +more than 1024 readings/m,
  );
  assert.deepEqual(await weir("dlq", "show", "1", ...here), shown);
  for (const [number, said] of [
    ["3", /^field    ts\n +the time in ts has no zone: .* timezone: utc /m],
    [
      "4",
      /shape_unsupported at byte 13 of .*\nfield    tmp\.a\n.* add tmp\.a to the source's ignore/,
    ],
    [
      "5",
      /number_invalid at byte 15 of .*\nfield    temperature\n.*not finite.* add temperature to/,
    ],
    ["6", /^field    \ufffd\[2J$/m],
  ] as const) {
    assert.match((await weir("dlq", "show", number, ...there)).out, said);
  }
  for (const where of [there, here]) {
    for (const number of ["7", "99"]) {
      const { code, error } = await weir("dlq", "show", number, ...where);
      assert.match(
        error,
        /^weir: no dead letter \d+ can be shown: none of this number is kept, or .*dlq list/,
      );
      assert.equal(code, 1);
    }
  }
  const unknown = await weir("dlq", "list", "--url", url);
  assert.match(unknown.error, /answers 401: .*--token-file/);
  const both = await weir("dlq", "list", ...here, "--url", url);
  assert.match(both.error, /^weir dlq: say either --data, or how a running agent is asked/);
  assert.equal(both.code, 2);
});

test("what is no agent, or an older one that cannot be asked for one letter, is said", async (t) => {
  const letter = { number: 9, arrived: 0, source: "a", topic: "a", reason: "json_invalid" };
  for (const [body, complaint] of [
    ["null", /^weir: what answers at http:.* is no agent that this weir knows/],
    ['{"deadLetters":{"0":1}}', /^weir: what answers at http:.* is no agent that this weir knows/],
    [JSON.stringify({ deadLetters: [letter] }), /^weir: the agent at http:.* of another version/],
    [JSON.stringify({ deadLetters: [{ ...letter, number: 2 }] }), /^weir: no dead letter 4 can/],
  ] as const) {
    const server = createServer((_request, response) => response.end(body));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const bound = server.address();
    assert.ok(typeof bound === "object" && bound !== null);
    const { code, error } = await weir(
      "dlq",
      "show",
      "4",
      "--url",
      `http://127.0.0.1:${bound.port}`,
    );
    assert.match(error, complaint);
    assert.equal(code, 1);
  }
});
