/** The `weir-query` node: asks an agent for what it keeps (docs/queries.md). */

import { registerAsking } from "../../node/asking-node.ts";
import type { Settings } from "../../migrations.ts";
import type { Message, Red } from "../../red.ts";
import { choiceIn } from "../../settings.ts";
import { migrations } from "./migrations.ts";

/**
 * Where it asks, what it may send along, and under which name the answer has the rows; where it has none it
 * is the payload as a whole.
 */
const questions = {
  steps: {
    path: "/v1/query",
    rows: "buckets",
    parameters: ["select", "from", "to", "step", "aggregates"],
  },
  readings: {
    path: "/v1/readings",
    rows: "readings",
    parameters: ["select", "from", "to", "limit"],
  },
  latest: { path: "/v1/series", rows: "series", parameters: ["select", "limit"] },
  raw: { method: "POST", path: "/v1/raw", parameters: ["select", "from", "to"] },
  ledger: { path: "/v1/ledger", parameters: [] },
} as const satisfies Readonly<Record<string, Question>>;

type Question = {
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly rows?: string;
  readonly parameters: readonly string[];
};

type What = keyof typeof questions;

export function register(RED: Red): void {
  registerAsking(RED, {
    type: "weir-query",
    migrations,
    start: (settings, { client }) => {
      const what = choiceIn(settings, "what", ["steps", "readings", "latest", "raw", "ledger"]);
      const { method = "GET", path, rows }: Question = questions[what];
      return async (message, signal) => {
        const query = queryOf(what, message, settings);
        // The same one, where it has to be sent twice.
        if (what === "raw") query.set("id", crypto.randomUUID());
        const answer = await client.json({ method, path, query }, signal);
        return rows === undefined ? { payload: answer } : rowsOf(answer, rows);
      };
    },
  });
}

/** What the message says goes before the settings. */
function queryOf(what: What, message: Message, settings: Settings): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of questions[what].parameters) {
    const given = message[name] ?? settings[name];
    if (given === undefined || given === "") continue;
    if (given instanceof Date) query.set(name, given.toISOString());
    else if (typeof given === "string" || typeof given === "number") query.set(name, `${given}`);
    else throw new Error(`${name} is ${JSON.stringify(given)}: set a text or a number`);
  }
  return query;
}

/** `end` says whether the answer is complete. */
function rowsOf(answer: unknown, rows: string): Message {
  if (typeof answer !== "object" || answer === null || !(rows in answer) || !("end" in answer)) {
    throw new Error(`the agent's answer has no ${rows}: is it another program that listens there?`);
  }
  const fields: Readonly<Record<string, unknown>> = { ...answer };
  return { payload: fields[rows], end: answer.end };
}
