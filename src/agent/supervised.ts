/**
 * An agent that outlives its disk: where the disk is full, read-only or failing, the agent waits, is
 * seen to wait, and begins by itself.
 *
 *   start ── the disk is in the way ──> wait, longer each time ──> start
 *   run ──── the disk failed ──> close ──> wait ──> start
 *   run ──── to be ended ──> over
 *
 * While it waits HTTP says why (http/waiting.ts) and MQTT does not listen: devices keep what they
 * have. A start is the same one a new process makes, replay and all; only what is in this process
 * survives, and that is nothing. Failures that time does not heal are the caller's.
 */

import type { Clock } from "../core/doors.ts";
import type { Fault } from "../core/faults.ts";
import { isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import type { DegradedReason } from "./degraded-reason.ts";
import { degradedBy, diskTrouble } from "./degraded.ts";

/** What is asked of an agent here. */
type Life = {
  listen(): Promise<void>;
  close(): Promise<void>;
};

export type WaitingOptions = {
  readonly clock: Clock;
  /** Says to whoever asks that the agent waits; the result stops that. */
  readonly openWaiting: (reason: () => DegradedReason) => Promise<() => Promise<void>>;
  /** It waits, or goes on waiting for another reason. */
  readonly onWaiting: (reason: DegradedReason) => void;
  /** Resolves when the agent is to end. */
  readonly ended: Promise<unknown>;
};

export type SupervisedOptions<Agent extends Life> = WaitingOptions & {
  /** Starts an agent that does not listen yet. */
  readonly start: (onFailed: (fault: Fault) => void) => Promise<Agent>;
  /** That it failed so is for the caller to judge, though waiting might help. Absent: nothing is. */
  readonly isForCaller?: (fault: Fault) => boolean;
  /** It runs and listens; the result is called before it is closed for a failure. */
  readonly onStarted: (agent: Agent) => () => void;
};

export type Ended<Agent> = {
  /** Still open; undefined where it waited. */
  readonly agent: Agent | undefined;
  /** Why it cannot go on, if that is why; also when it fails later. */
  readonly fault: () => Fault | undefined;
};

/** Resolves when it is to end, or cannot go on. Rejects as a start that waiting cannot help. */
export async function superviseAgent<Agent extends Life>(
  options: SupervisedOptions<Agent>,
): Promise<Ended<Agent>> {
  const { clock } = options;
  await using waiting = new StartPause(options);
  for (;;) {
    const begun = await begin(options, waiting);
    if (begun.kind === "started") {
      const startedAt = clock.monotonic();
      const stop = options.onStarted(begun.agent);
      await Promise.race([options.ended, begun.failed]);
      stop();
      const fault = begun.fault();
      const isOver = fault === undefined || !isWorthWaiting(fault);
      if (isOver || options.isForCaller?.(fault) === true) {
        return { agent: begun.agent, fault: begun.fault };
      }
      if (clock.monotonic() - startedAt > limits.restartMsMax) waiting.forget();
      await closeFailed(begun.agent);
      waiting.failure = fault;
    } else {
      waiting.failure = begun.error;
    }
    if ((await waiting.rest()) === "ended") return { agent: undefined, fault: () => undefined };
  }
}

/**
 * What `open` gives, which comes before any agent; waits for the disk in the same way. Rejects as `open` where
 * waiting cannot help.
 */
export async function openOnDisk<Value>(
  options: WaitingOptions,
  open: () => Promise<Value>,
): Promise<Value | "ended"> {
  await using waiting = new StartPause(options);
  for (;;) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof Error) || diskTrouble(error) === undefined) throw error;
      waiting.failure = error;
    }
    if ((await waiting.rest()) === "ended") return "ended";
  }
}

type Begun<Agent> =
  | {
      readonly kind: "started";
      readonly agent: Agent;
      readonly failed: Promise<void>;
      readonly fault: () => Fault | undefined;
    }
  | { readonly kind: "in the way"; readonly error: Error };

async function begin<Agent extends Life>(
  { start }: SupervisedOptions<Agent>,
  waiting: StartPause,
): Promise<Begun<Agent>> {
  const { promise: failed, resolve } = Promise.withResolvers<void>();
  let fault: Fault | undefined;
  let agent: Agent;
  try {
    agent = await start((failure) => {
      fault = failure;
      resolve();
    });
  } catch (error) {
    if (!(error instanceof Error) || diskTrouble(error) === undefined) throw error;
    return { kind: "in the way", error };
  }
  try {
    await waiting.end(); // the port is the agent's own
    await agent.listen();
  } catch (error) {
    await closeFailed(agent);
    throw error;
  }
  return { kind: "started", agent, failed, fault: () => fault };
}

/** A disk that failed may be well again, and so may a store that was given up for an unknown reason. */
function isWorthWaiting(fault: Fault): boolean {
  return (
    diskTrouble(fault) !== undefined ||
    ["DISK_FAILED", "LOG_POISONED", "STORE_FAILED"].includes(fault.code)
  );
}

/** What it could not write any more is in the log, or was never acknowledged. */
export async function closeFailed(agent: Life): Promise<void> {
  try {
    await agent.close();
  } catch (error) {
    if (!isEnvironmental(error) && !(error instanceof SuppressedError)) throw error;
  }
}

/** The time between two starts. */
class StartPause {
  readonly #options: WaitingOptions;
  #restMs: number = limits.restartMsMin;
  #reason: DegradedReason = { name: "failed", message: "" };
  #close: (() => Promise<void>) | undefined;

  constructor(options: WaitingOptions) {
    this.#options = options;
  }

  set failure(error: Error) {
    const reason = degradedBy(error);
    const isNews = this.#close === undefined || reason.name !== this.#reason.name;
    this.#reason = reason;
    if (isNews) this.#options.onWaiting(reason);
  }

  /** What comes is another trouble than what was before. */
  forget(): void {
    this.#restMs = limits.restartMsMin;
  }

  async rest(): Promise<"ended" | "over"> {
    const { clock, ended, openWaiting } = this.#options;
    this.#close ??= await openWaiting(() => this.#reason);
    const { promise, resolve } = Promise.withResolvers<"over">();
    const cancel = clock.after(this.#restMs, () => resolve("over"));
    this.#restMs = Math.min(2 * this.#restMs, limits.restartMsMax);
    const first = await Promise.race([promise, ended.then(() => "ended" as const)]);
    cancel();
    return first;
  }

  async end(): Promise<void> {
    await this.#close?.();
    this.#close = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
