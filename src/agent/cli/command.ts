/** What a command of the command line is, and what all of them share. */

import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { nearestOf } from "../config/nearest.ts";

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

/** util.parseArgs, strict, with its complaints as UsageError in our words. */
export function parseOptions<T extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: T,
): ReturnType<typeof parseArgs<{ options: T; strict: true; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    throw new UsageError(complaintOf(error, Object.keys(options)));
  }
}

function complaintOf(error: unknown, known: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const option = /'(-[^' ]+)/.exec(message)?.[1] ?? "";
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") {
    const nearest = nearestOf(option.replace(/^-+/, ""), known);
    return `unknown option ${option}${nearest === undefined ? "" : `, did you mean --${nearest}?`}`;
  }
  if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") {
    return message.includes("does not take")
      ? `${option} takes no value`
      : `${option} needs a value`;
  }
  return message;
}

/** For commands that take options alone: what else stands there is not silently left out. */
export function refusePositionals([first]: readonly string[]): void {
  if (first !== undefined) throw new UsageError(`${JSON.stringify(first)} is not understood here`);
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

/** `--from -1d`: there, as in the other options that are times, what begins with a dash is no option. */
export function withTimes(args: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const last = joined.at(-1);
    const isTime = ["--from", "--to", "--expires"].includes(last ?? "") && /^-\d/.test(arg);
    if (isTime) joined.splice(-1, 1, `${last}=${arg}`);
    else joined.push(arg);
  }
  return joined;
}
