/**
 * What `weir run` writes while it runs: changes of state; each notice when it first appears, when it
 * says something else, and at most once in ten minutes if only its numbers moved; what was in trouble
 * and is no longer; uplinks that are reached for the first time; who tried what. One line each, for
 * the service's journal.
 */

import { SecurityLines } from "./security-lines.ts";
import type { Agent } from "../start.ts";

export type Say = (event: string, facts: Readonly<Record<string, unknown>>) => void;

const LOOK_MS = 1_000;
const REPEAT_MS = 600_000;
/** A notice that says something else each time is still said no more often than this. */
const CHANGE_MS = 10_000;

/** Starts to watch; the result stops it. */
export function startJournal(
  agent: Pick<Agent, "status" | "notices" | "securityEvents">,
  say: Say,
): () => void {
  const said = new Map<string, { readonly message: string; readonly atMs: number }>();
  const reached = new Set<string>();
  const security = new SecurityLines(say);
  let state = "running";
  let isFirst = true;
  const look = (): void => {
    const status = agent.status();
    if (status.state !== state) {
      state = status.state;
      say("state", { state, reasons: status.reasons.join("; ") });
    }
    const nowMs = performance.now();
    const notices = agent.notices();
    for (const { name, lanes } of status.uplinks) {
      for (const [lane, pump] of Object.entries(lanes)) {
        const end = `${name} ${lane}`;
        if (pump.state !== "running" || reached.has(end)) continue;
        reached.add(end);
        say("uplink", { name, lane, state: pump.state, behind: pump.behind });
      }
    }
    for (const code of said.keys()) {
      if (notices.some((notice) => notice.code === code)) continue;
      said.delete(code);
      if (/^(uplink_trouble|broker_away)_/.test(code)) say("recovered", { code });
    }
    for (const { code, message } of notices) {
      const last = said.get(code);
      if (last?.message === message) continue;
      const waitMs =
        last !== undefined && wordsOf(last.message) === wordsOf(message) ? REPEAT_MS : CHANGE_MS;
      if (last !== undefined && nowMs - last.atMs < waitMs) continue;
      said.set(code, { message, atMs: nowMs });
      // Incidents are remembered for good: at the start they tell of processes before this one.
      const isEarlier = isFirst && code.startsWith("uplink_incident_");
      say("notice", { code, message: isEarlier ? `earlier: ${message}` : message });
    }
    security.look(agent.securityEvents(security.after), status.clock.now);
    isFirst = false;
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

/** A message without its numbers. */
function wordsOf(message: string): string {
  return message.replaceAll(/\d+/g, "#");
}
