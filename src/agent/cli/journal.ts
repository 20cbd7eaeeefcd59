/**
 * What `weir run` writes while it runs: changes of state, and each notice when it first appears and
 * then at most once in ten minutes if its count moved. One line each, for the service's journal.
 */

import type { Agent } from "../start.ts";

export type Say = (event: string, facts: Readonly<Record<string, unknown>>) => void;

const LOOK_MS = 1_000;
const REPEAT_MS = 600_000;

/** Starts to watch; the result stops it. */
export function startJournal(agent: Agent, say: Say): () => void {
  const said = new Map<string, { readonly message: string; readonly atMs: number }>();
  let state = "running";
  const look = (): void => {
    const status = agent.status();
    if (status.state !== state) {
      state = status.state;
      say("state", { state, reasons: status.reasons.join("; ") });
    }
    const nowMs = performance.now();
    const notices = agent.notices();
    for (const code of said.keys()) {
      if (!notices.some((notice) => notice.code === code)) said.delete(code);
    }
    for (const { code, message } of notices) {
      const last = said.get(code);
      if (last?.message === message) continue;
      if (last !== undefined && nowMs - last.atMs < REPEAT_MS) continue;
      said.set(code, { message, atMs: nowMs });
      say("notice", { code, message });
    }
  };
  look();
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}
