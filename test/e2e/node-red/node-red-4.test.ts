/**
 * The package in Node-RED 4: its examples are imported by the dialog in a real browser, and show results. In
 * the short form it is only loaded: Node-RED 5 shows the rest.
 */

import { test } from "node:test";
import { isLong } from "../../support/long-form.ts";
import {
  importExamples,
  seeNoErrors,
  seePalette,
  seeResults,
  startTrial,
} from "../../support/node-red/trial.ts";

test("Node-RED 4 with the packed package in a browser", async (t) => {
  const trial = await startTrial(t, 4);
  if (trial === undefined) return;
  await seePalette(t, trial);
  if (isLong) {
    const tried = await importExamples(t, trial);
    await seeResults(t, trial, { tried, all: false });
  }
  await seeNoErrors(t, trial);
});
