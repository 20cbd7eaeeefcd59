/**
 * The `weir-sync` node: how an agent's uplinks and links are, now and then or when it is asked; pauses them,
 * resumes them, and changes what a link may send today or this month.
 */

import { flowLimits } from "../../../../src/core/flow-limits.ts";
import type { AgentRequest } from "../../agent/agent-client.ts";
import { type Asking, registerAsking } from "../../node/asking-node.ts";
import type { Message, Red, Status } from "../../red.ts";
import { wordOf } from "../../agent/trouble.ts";
import { numberIn } from "../../settings.ts";
import { pausesIn } from "./pauses.ts";
import { migrations } from "./migrations.ts";

const path = "/v1/link";
const actions: readonly string[] = ["status", "pause", "resume", "budget"];
const parameters = ["uplink", "for", "link", "bytes"] as const;

export function register(RED: Red): void {
  registerAsking(RED, {
    type: "weir-sync",
    migrations,
    statusOf: ({ payload }) => statusOf(RED, payload),
    start: (settings, asking) => {
      const max = flowLimits.timerMsMax / 1_000;
      const everySeconds = numberIn(settings, "everySeconds", { min: 0, max });
      if (everySeconds > 0) lookEvery(RED, Math.max(1, everySeconds) * 1_000, asking);
      return async (message, signal) => ({
        payload: await asking.client.json(requestOf(message), signal),
      });
    },
  });
}

/** Sends the status, again and again; one that fails is shown and not sent. */
function lookEvery(RED: Red, everyMs: number, { client, node, status, onClose }: Asking): void {
  const closing = new AbortController();
  let warned: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const payload = await client.json({ path }, closing.signal);
      if (closing.signal.aborted) return;
      if (warned !== undefined) node.log(`the agent at ${client.name} answers again`);
      warned = undefined;
      status.show(statusOf(RED, payload));
      node.send([[{ topic: "sync", payload }]]);
    } catch (error) {
      if (closing.signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      if (why !== warned) node.warn(why);
      warned = why;
      status.show({ fill: "red", shape: "ring", text: RED._(`status.${wordOf(error)}`) });
    }
    if (!closing.signal.aborted) timer = setTimeout(() => void look(), everyMs);
  };
  let timer = setTimeout(() => void look(), 0);
  onClose(() => {
    closing.abort();
    clearTimeout(timer);
  });
}

/** `view`: an answer of /v1/link. */
function statusOf(RED: Red, view: unknown): Status {
  const pauses = pausesIn(view, Date.now());
  if (pauses.length === 0) return { fill: "green", shape: "dot" };
  const texts = pauses.slice(0, flowLimits.pausesShownMax).map(({ uplink, until }) => {
    return until === undefined ? uplink : `${uplink} ${RED._("status.until")} ${until}`;
  });
  if (texts.length < pauses.length) texts.push(`+${pauses.length - texts.length}`);
  const text = `${RED._("status.paused")}: ${texts.join(", ")}`;
  return { fill: "yellow", shape: "dot", text };
}

/** `payload` is an action, or an object with one and its parameters. */
function requestOf({ payload }: Message): AgentRequest {
  const order: Readonly<Record<string, unknown>> =
    typeof payload === "object" && payload !== null ? { ...payload } : { action: payload };
  const isOrder = typeof payload === "string" || typeof payload === "object";
  // A message of an inject node has its time as payload: what is no order asks how things are.
  if (!isOrder || payload === null || payload === "") return { path };
  const wanted = order["action"];
  const action = actions.find((each) => each === wanted);
  if (action === undefined) {
    throw new Error(`${JSON.stringify(wanted) ?? "it"} is no action: ${actions.join(", ")}`);
  }
  const known: readonly string[] = ["action", ...parameters];
  const strange = Object.keys(order).find((name) => !known.includes(name));
  if (strange !== undefined) {
    throw new Error(`payload.${strange} is not known: ${known.join(", ")}`);
  }
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
