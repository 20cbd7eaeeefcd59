/** A device whose clock is ahead is noticed, and after a restart only if it still is. */

import assert from "node:assert/strict";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { configOf, sourceDefaults } from "./config/config.ts";
import { startAgent } from "./start.ts";

test("what is quarantined is a notice until the next start, of the source that has most of it", async (t) => {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-quarantined-"));
  t.after(() => folder[Symbol.dispose]());
  const config = configOf({
    agent: "gw1",
    dataDirectory: join(folder.path, "data"),
    sources: ["a", "b"].map((name) => ({
      ...sourceDefaults,
      name,
      topics: [`${name}/{device}`],
    })),
  });
  const start = async () =>
    await startAgent(config, {
      listen: false,
      onFailed: (fault) => {
        throw fault;
      },
    });

  const agent = await start();
  t.after(() => agent.close());
  const said = () => agent.status().notices.filter((notice) => notice.includes("quarantine"));
  assert.deepEqual(said(), []);
  const ahead = Date.now() + 15 * 60_000;
  for (const topic of ["a/p1", "b/p1", "b/p2"]) {
    await agent.feeder.feed(topic, Buffer.from(JSON.stringify({ ts: ahead, v: 1 })));
  }
  await agent.feeder.settled();
  assert.match(said().join("\n"), /^3 readings since the start .* most of source b: .* 5m /);
  await agent.close();

  const again = await start();
  t.after(() => again.close());
  assert.equal(again.ledger().sources[1]?.readings.quarantined, 2);
  assert.ok(!again.status().notices.some((notice) => notice.includes("quarantine")));
});
