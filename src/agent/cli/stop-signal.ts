/** When to end: Ctrl-C, SIGTERM, or after a number of seconds. A second signal ends at once. */

import { exitCodes } from "./command.ts";

export type StopSignal = {
  /** Resolves at the first reason to end. */
  readonly stopped: Promise<string>;
  /** Makes it a reason to end. */
  readonly stop: (why: string) => void;
};

export function stopSignal(options: { readonly seconds: number }): StopSignal {
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      resolve(signal);
      process.once(signal, () => process.exit(exitCodes.failed));
    });
  }
  if (Number.isFinite(options.seconds)) {
    const timer = setTimeout(() => resolve("time is over"), options.seconds * 1000);
    void promise.then(() => clearTimeout(timer));
  }
  return { stopped: promise, stop: resolve };
}
