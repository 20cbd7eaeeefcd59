/** What a command of the command line is, and what all of them share. */

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";

export const exitCodes = { ok: 0, failed: 1, usage: 2, configuration: 78 } as const;

export type Command = {
  readonly name: string;
  /** One line for `weir --help`. */
  readonly summary: string;
  /** The whole text of `weir NAME --help`. */
  readonly help: string;
  /** Loads the code when it is needed: `weir status` does not pay for the agent. */
  readonly load: () => Promise<{ readonly run: (args: readonly string[]) => Promise<number> }>;
};

/** The command line cannot be understood; the message says which part. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** util.parseArgs, strict, with its complaints as UsageError. */
export function parseOptions<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; strict: true; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A whole number from an option, or `fallback` where the option is absent. */
export function wholeOption(
  text: string | undefined,
  {
    name,
    fallback,
    min,
    max = Number.MAX_SAFE_INTEGER,
  }: {
    readonly name: string;
    readonly fallback: number;
    readonly min: number;
    readonly max?: number;
  },
): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw new UsageError(`${name} must be a whole number ${range}, not ${JSON.stringify(text)}`);
}
