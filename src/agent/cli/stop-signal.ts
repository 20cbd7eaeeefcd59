/**
 * When to end: Ctrl-C, SIGTERM, a terminal that closes, after a number of seconds, or a failure. A
 * second Ctrl-C or SIGTERM ends at once.
 */

import { exitCodes, wholeOption } from "./command.ts";

/** Longest time a timer of Node can wait, in seconds. */
const secondsMax = 2_147_483;

export type Ending = { readonly why: string; readonly failed: boolean };

export type StopSignal = {
  /** Resolves at the first reason to end. */
  readonly stopped: Promise<Ending>;
  /** Makes it a reason to end. */
  readonly stop: (ending: Ending) => void;
};

/** What `--seconds` says; without it, for ever. Throws UsageError. */
export function secondsOption(text: string | undefined): number {
  return wholeOption(text, { name: "--seconds", fallback: Infinity, min: 1, max: secondsMax });
}

export function stopSignal(options: { readonly seconds: number }): StopSignal {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      resolve({ why: signal, failed: false });
      process.once(signal, () => process.exit(exitCodes.failed));
    });
  }
  // The kernel and the shell both send it when an ssh session closes: a second one means no more.
  process.on("SIGHUP", () => resolve({ why: "SIGHUP", failed: false }));
  if (Number.isFinite(options.seconds)) {
    const timer = setTimeout(
      () => resolve({ why: "time is over", failed: false }),
      options.seconds * 1000,
    );
    timer.unref(); // it ends what runs, and keeps nothing alive that does not
    void promise.then(() => clearTimeout(timer));
  }
  return { stopped: promise, stop: resolve };
}
