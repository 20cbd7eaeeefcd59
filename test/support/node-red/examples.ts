/** The examples of the package, and what each is to show in the editor of a user who tries it. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../../flows/build.ts";

export type Example = {
  readonly name: string;
  /** As it is in the file. */
  readonly text: string;
  /** What a person does and sees, one after the other. */
  readonly steps: readonly Step[];
  /** Whether that takes up to a minute. */
  readonly isRare: boolean;
};

export type Step =
  /** The button of the inject node of this name. */
  | { readonly kind: "press"; readonly name: string }
  /** The debug node of this name shows something like this, on every good day. */
  | { readonly kind: "see"; readonly name: string; readonly like: RegExp };

const press = (name: string): Step => ({ kind: "press", name });
const see = (name: string, like = /./): Step => ({ kind: "see", name, like });

const folder = join(packageDir, "examples");

const expected: Readonly<Record<string, readonly Step[]>> = {
  alerts: [see("alerts")],
  anomaly: [see("anomalies")],
  "cold-chain": [
    press("into the tunnel"),
    see("kept on the truck"),
    press("out again"),
    see("backfill", /array\[[1-9]/),
    see("cold rooms"),
  ],
  dedupe: [see("new"), see("resent")],
  "energy-meters": [see("for review"), press("go on"), see("delivery"), see("power")],
  "fleet-test-bench": [
    see("resent"),
    see("most resent"),
    see("ledger", /"balanced":true,"duplicates":[1-9]/),
    see("latest"),
  ],
  "mqtt-only": [see("summaries"), see("alerts"), see("status")],
  publish: [see("durable")],
  "pump-monitoring": [see("alerts"), see("light", /^string\[2\] on$/), see("vibration")],
  query: [press("ask"), see("minutes"), see("latest")],
  raw: [press("ask"), see("asked"), see("readings")],
  report: [see("reported")],
  sketch: [see("top")],
  summaries: [see("summaries")],
  sync: [see("uplinks")],
  window: [see("results")],
};

/** They show something once a minute. */
const rare = new Set(["anomaly"]);

/** Throws where nobody wrote down what an example shows. */
export function allExamples(): readonly Example[] {
  return readdirSync(folder).map((file) => {
    const name = file.replace(/\.json$/, "");
    const steps = expected[name];
    if (steps === undefined) throw new Error(`${file}: test/support/node-red/examples.ts lacks it`);
    const text = readFileSync(join(folder, file), "utf8");
    return { name, text, steps, isRare: rare.has(name) };
  });
}
