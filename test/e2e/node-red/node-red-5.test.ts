/**
 * The package in Node-RED 5, in a real browser, beside the agent of `npm start`: each example is imported by
 * the dialog and shows results; windows live through deploys; and an agent that is killed gives a flow each
 * summary once.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { countOf, isLong } from "../../support/long-form.ts";
import { fedWindow, gathered, gatheredSummaries } from "../../support/node-red/gathering.ts";
import {
  arePicturesWanted,
  pictureFindings,
  takePictures,
} from "../../support/node-red/pictures.ts";
import {
  importExamples,
  seeNoErrors,
  seePalette,
  seeResults,
  startTrial,
} from "../../support/node-red/trial.ts";
import { readUpstream } from "../../support/upstream.ts";

const gatherMsMax = 40_000;

test("Node-RED 5 with the packed package in a browser", async (t) => {
  const trial = await startTrial(t, 5);
  if (trial === undefined) return;
  const { nodeRed, agent, editor } = trial;
  await seePalette(t, trial);

  const windows = join(nodeRed.folder, "windows");
  const begin = Math.floor(Date.now() / 10_000) * 10_000 - 60_000;
  const feed = async (seconds: readonly number[]): Promise<void> => {
    for (const second of seconds) {
      const body = JSON.stringify({ topic: "m1", payload: second, time: begin + second * 1_000 });
      const headers = { "Content-Type": "application/json" };
      const { status } = await fetch(`${nodeRed.url}/feed`, { method: "POST", headers, body });
      assert.equal(status, 200);
    }
  };
  await editor.import(fedWindow(windows));
  await editor.deploy();
  await feed([0, 1, 2, 3]);
  const tried = await importExamples(t, trial);

  await t.test("a window in the middle of which flows are deployed is whole", async () => {
    await feed([4, 5, 6, 7, 8, 9, 10]);
    const [first = ""] = await gathered(windows, { atLeast: 1, msMax: 5_000 });
    const { count, sum } = JSON.parse(first) as Record<string, unknown>;
    assert.deepEqual({ count, sum }, { count: 10, sum: 45 });
  });

  await seeResults(t, trial, { tried, all: isLong || arePicturesWanted });
  if (arePicturesWanted) {
    const byName = tried.map(({ example, imported }) => [example.name, imported] as const);
    await takePictures(editor, new Map(byName));
  }
  await t.test("every node has its picture in the documents", () => {
    assert.deepEqual(pictureFindings(), []);
  });

  await t.test("an agent that is killed gives a flow each summary once", async () => {
    // An agent has a few streams, and the examples all of them.
    for (const { imported } of tried) await editor.disable(imported.tab);
    const file = join(nodeRed.folder, "summaries");
    await editor.import(gatheredSummaries(file, agent.url));
    await editor.deploy();
    let count = 0;
    const more = async (lines: number): Promise<void> => {
      const found = await gathered(file, { atLeast: count + lines, msMax: gatherMsMax });
      count = found.length;
    };
    for (let kills = countOf("WEIR_TEST_KILLS", { short: 1, long: 5 }); kills > 0; kills--) {
      await more(1);
      // Windows close right before the agent is killed, and before the node is there again.
      await agent.alarm(`pump-before-${kills}`);
      await agent.kill();
      await agent.start();
      await agent.alarm(`pump-after-${kills}`);
      await more(50);
    }
    await agent.end();
    const ids = await gathered(file, { atLeast: count, msMax: gatherMsMax });
    const sent = (await readUpstream(agent.upstream, "summaries"))
      .filter(({ kind }) => kind === "summary")
      .map(({ id }) => id);
    const from = sent.indexOf(ids[0]!);
    assert.ok(from >= 0, `${ids[0]} went upstream`);
    assert.deepEqual(ids, sent.slice(from, from + ids.length));
  });

  await seeNoErrors(t, trial);
});
