/**
 * The `weir-sync` node: how an agent's uplinks and links are, now and then or when it is asked; pauses them,
 * resumes them, and changes what a link may send today or this month.
 */

import { flowLimits } from "../../../../src/core/flow-limits.ts";
import type { AgentRequest } from "../../agent/agent-client.ts";
import { type Asking, registerAsking } from "../../node/asking-node.ts";
import type { Message, Red } from "../../red.ts";
import { numberIn } from "../../settings.ts";
import { migrations } from "./migrations.ts";

const path = "/v1/link";
const actions: readonly string[] = ["status", "pause", "resume", "budget"];
const parameters = ["uplink", "for", "link", "bytes"] as const;

export function register(RED: Red): void {
  registerAsking(RED, {
    type: "weir-sync",
    migrations,
    start: (settings, asking) => {
      const max = flowLimits.timerMsMax / 1_000;
      const everySeconds = numberIn(settings, "everySeconds", { min: 0, max });
      if (everySeconds > 0) lookEvery(Math.max(1, everySeconds) * 1_000, asking);
      return async (message, signal) => ({
        payload: await asking.client.json(requestOf(message), signal),
      });
    },
  });
}

/** Sends the status, again and again; one that fails is shown and not sent. */
function lookEvery(everyMs: number, { client, node, status, onClose }: Asking): void {
  const closing = new AbortController();
  const look = async (): Promise<void> => {
    try {
      const payload = await client.json({ path }, closing.signal);
      if (closing.signal.aborted) return;
      status.show({ fill: "green", shape: "dot" });
      node.send([[{ topic: "sync", payload }]]);
    } catch (error) {
      if (closing.signal.aborted) return;
      const text = error instanceof Error ? error.message : String(error);
      status.show({ fill: "red", shape: "ring", text });
    }
    if (!closing.signal.aborted) timer = setTimeout(() => void look(), everyMs);
  };
  let timer = setTimeout(() => void look(), 0);
  onClose(() => {
    closing.abort();
    clearTimeout(timer);
  });
}

/** `payload` is an action, or an object with one and its parameters. */
function requestOf({ payload }: Message): AgentRequest {
  const order: Readonly<Record<string, unknown>> =
    typeof payload === "object" && payload !== null ? { ...payload } : { action: payload };
  const { action: wanted } = order;
  const action = actions.find((each) => each === wanted) ?? "status";
  if (typeof wanted === "string" && action !== wanted) {
    throw new Error(`${JSON.stringify(wanted)} is no action: ${actions.join(", ")}`);
  }
  // A message of an inject node has its time as payload: whatever is no text asks how things are.
  if (action === "status") return { path };
  const query = new URLSearchParams({ action });
  for (const name of parameters) {
    const given = order[name];
    if (given === undefined || given === "") continue;
    if (typeof given !== "string" && typeof given !== "number") {
      throw new Error(`payload.${name} is ${JSON.stringify(given)}: set a text or a number`);
    }
    query.set(name, `${given}`);
  }
  return { method: "POST", path, query };
}
