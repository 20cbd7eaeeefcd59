/**
 * Somebody who asks the gateway for raw readings, as a person with a script does: again and again until
 * it has said that the request is stored, in the same words.
 */

import type { Agent } from "../../../src/agent/agent.ts";
import { isEnvironmental } from "../../../src/core/faults.ts";
import type { AskUse } from "../oracle/evidence.ts";
import type { AskPlan } from "../plan.ts";
import type { Timeline } from "./timeline.ts";

const againMs = 1_500;

export type AskerOptions = {
  readonly plan: AskPlan;
  /** Name of the device that is asked for; undefined: all. */
  readonly device: string | undefined;
  readonly timeline: Timeline;
  /** Milliseconds since 1970 when the world begins. */
  readonly epochMs: number;
  /** The one that is up. */
  readonly agent: () => Agent | undefined;
  readonly tell: (what: string) => void;
};

export class Asker {
  readonly #options: AskerOptions;
  #firstTriedAt: number | undefined;
  #isStored = false;
  #isCancelled = false;

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  begin(): void {
    const { plan, timeline } = this.#options;
    timeline.after(plan.atMs, () => this.#ask());
  }

  /** Nothing of it is open. */
  get isDone(): boolean {
    const { cancelAfterMs } = this.#options.plan;
    return this.#isStored && (cancelAfterMs === undefined || this.#isCancelled);
  }

  get use(): AskUse {
    const { plan, device, epochMs } = this.#options;
    const [from, to] = [epochMs + plan.fromMs, epochMs + plan.toMs];
    const mayBeCancelled = plan.cancelAfterMs !== undefined;
    return { id: plan.id, device, from, to, mayBeCancelled, firstTriedAt: this.#firstTriedAt };
  }

  #ask(): void {
    const { plan, device, timeline, epochMs, tell } = this.#options;
    if (this.#isStored) return;
    timeline.after(againMs, () => this.#ask());
    const agent = this.#options.agent();
    if (agent === undefined) return;
    this.#firstTriedAt ??= timeline.now;
    const { id, priority } = plan;
    const select = [device === undefined ? "*" : `*{device=${device}}`];
    const [from, to] = [epochMs + plan.fromMs, epochMs + plan.toMs];
    // An agent whose process goes meanwhile never answers.
    void answerOf(agent.stored.raw.ask({ id, select, from, to, priority })).then((outcome) => {
      if (this.#isStored || (outcome?.kind !== "asked" && outcome?.kind !== "known")) return;
      this.#isStored = true;
      tell(`${id} is ${outcome.kind}`);
      if (plan.cancelAfterMs !== undefined) {
        timeline.after(plan.cancelAfterMs, () => this.#cancel());
      }
    });
  }

  #cancel(): void {
    const { plan, timeline, tell } = this.#options;
    if (this.#isCancelled) return;
    timeline.after(againMs, () => this.#cancel());
    const agent = this.#options.agent();
    if (agent === undefined) return;
    void answerOf(agent.stored.raw.cancel(plan.id)).then((isDone) => {
      if (this.#isCancelled || isDone === undefined) return;
      this.#isCancelled = true;
      // Not done: it is answered already.
      tell(`${plan.id} is ${isDone ? "cancelled" : "over"}`);
    });
  }
}

/** Undefined where the agent says that it cannot now: its store is full or broken. */
async function answerOf<Answer>(answering: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answering;
  } catch (error) {
    if (isEnvironmental(error)) return undefined;
    throw error;
  }
}
