/** What the HTTP API answers: one row per path, each a pure function of the agent's view. */

import { limits } from "../../core/limits.ts";
import { EXPOSITION_TYPE } from "../metrics/exposition.ts";
import { brokerLosses } from "../broker-losses.ts";
import type { DegradedReason } from "../degraded-reason.ts";
import { metricsText } from "../metrics/metrics.ts";
import type { AgentView } from "../status.ts";
import { json, problem, type Reply, text } from "./reply.ts";
import { statusPage } from "./status-page.ts";

export type Route = (view: AgentView, query: URLSearchParams) => Reply;

export const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/", () => statusPage],
  ["/healthz", health],
  ["/readyz", readiness],
  ["/metrics", (view) => text(EXPOSITION_TYPE, metricsText(view.status(), view.ledger()))],
  ["/v1/status", (view) => json(200, view.status())],
  ["/v1/ledger", ledger],
  ["/v1/alerts", (view) => json(200, { alerts: view.recentAlerts() })],
  ["/v1/dead-letters", deadLetters],
]);

/** For those who have no token, where tokens are needed: nothing but what anyone may know. */
export const openRoutes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ["/", () => statusPage],
  ["/healthz", healthOnly],
]);

function healthOnly(view: AgentView): Reply {
  const healthy = view.status().state !== "failed";
  return json(healthy ? 200 : 503, { healthy });
}

/** Every reading that came here, and what is known to have been lost before it could. */
function ledger(view: AgentView): Reply {
  return json(200, { ...view.ledger(), brokers: brokerLosses(view.status().brokers) });
}

/** Alive: a process that answers turns its loop, unless the loop gave up. */
function health(view: AgentView): Reply {
  const { state, reasons, degraded } = view.status();
  return json(state === "failed" ? 503 : 200, { state, reasons, degraded: namesOf(degraded) });
}

/** Ready: readings are taken, kept and computed, and nothing is in the way. */
function readiness(view: AgentView): Reply {
  const { state, reasons, degraded } = view.status();
  return json(state === "running" ? 200 : 503, { state, reasons, degraded: namesOf(degraded) });
}

function namesOf(degraded: readonly DegradedReason[]): readonly string[] {
  return degraded.map(({ name }) => name);
}

/** Newest first; `?limit=` bounds their number, `?before=` begins below a number. */
function deadLetters(view: AgentView, query: URLSearchParams): Reply {
  const limit = wholeIn(query.get("limit") ?? "100");
  if (limit === undefined || limit < 1 || limit > limits.deadLettersKeptMax) {
    const message = `limit must be a whole number from 1 to ${limits.deadLettersKeptMax}`;
    return problem(400, "bad_request", message);
  }
  const said = query.get("before");
  if (said === null) return json(200, { deadLetters: view.deadLetters({ limit }) });
  const before = wholeIn(said);
  if (before === undefined) {
    return problem(400, "bad_request", "before must be the number of a dead letter");
  }
  return json(200, { deadLetters: view.deadLetters({ limit, before }) });
}

function wholeIn(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
