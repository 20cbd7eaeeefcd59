/** The examples of the package, and what each is to show in the editor of a user who tries it. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDir } from "../../../flows/build.ts";

export type Example = {
  readonly name: string;
  /** As it is in the file. */
  readonly text: string;
  /** Names of inject nodes that a person presses. */
  readonly presses: readonly string[];
  /** Names of debug nodes that show something, on every good day. */
  readonly shows: readonly string[];
  /** Whether that takes up to a minute. */
  readonly isRare: boolean;
};

const folder = join(packageDir, "examples");

const expected: Readonly<Record<string, Pick<Example, "shows"> & Partial<Example>>> = {
  alerts: { shows: ["alerts"] },
  anomaly: { shows: ["anomalies"], isRare: true },
  dedupe: { shows: ["new", "resent"] },
  publish: { shows: ["durable"] },
  query: { presses: ["ask"], shows: ["minutes", "latest"] },
  raw: { presses: ["ask"], shows: ["asked", "readings"] },
  report: { shows: ["reported"] },
  sketch: { shows: ["top"] },
  summaries: { shows: ["summaries"] },
  sync: { shows: ["uplinks"] },
  window: { shows: ["results"] },
};

/** Throws where nobody wrote down what an example shows. */
export function allExamples(): readonly Example[] {
  return readdirSync(folder).map((file) => {
    const name = file.replace(/\.json$/, "");
    const known = expected[name];
    if (known === undefined) throw new Error(`${file}: test/support/node-red/examples.ts lacks it`);
    return {
      name,
      presses: [],
      isRare: false,
      text: readFileSync(join(folder, file), "utf8"),
      ...known,
    };
  });
}
