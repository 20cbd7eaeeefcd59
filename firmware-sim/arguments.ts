/**
 * The command line, from words to one checked command.
 *
 * What the user got wrong is a `usage` command with a sentence, never an exception.
 */
import { parseArgs } from "node:util";

import { type FaultPreset, faultPresets } from "./fault.ts";
import { limits } from "./limits.ts";
import { type PlanOptions, planDefaults, planProblem } from "./plan.ts";
import { realDefaults } from "./real.ts";

/** What both ways to run have in common. */
export type RunArguments = {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly passwordFile: string | undefined;
  readonly clientPrefix: string | undefined;
  /** Device time per real time; Infinity for `max`. */
  readonly speed: number;
  readonly seconds: number | undefined;
  readonly drainMs: number;
  readonly epochMs: number | undefined;
  readonly isQuiet: boolean;
  readonly isJson: boolean;
};

export type Command =
  | { readonly kind: "help" }
  | { readonly kind: "usage"; readonly problem: string }
  | {
      readonly kind: "fleet";
      readonly run: RunArguments;
      /** Epoch and duration are set when the clock starts. */
      readonly plan: PlanOptions;
      readonly preset: FaultPreset;
      readonly truthFile: string | undefined;
      readonly windowsFile: string | undefined;
      readonly windowMs: number;
    }
  | {
      readonly kind: "real";
      readonly run: RunArguments;
      readonly fromReading: number;
      readonly labelsFile: string | undefined;
      readonly truthFile: string | undefined;
    };

export const help: string = `Simulated sensors that publish over MQTT, with labelled faults.

  node firmware-sim/main.ts [options]          a seeded fleet
  node firmware-sim/main.ts real [options]     recorded, labelled motes

Both
  --host HOST            broker (127.0.0.1)
  --port PORT            (1883)
  --username NAME        with --password-file FILE, whose first line is the password
  --client-prefix NAME   start of the client identifiers (sim-SEED, or sim-real)
  --speed FACTOR|max     device time per real time (1; real: ${realDefaults.speed})
                         max: as fast as the broker acknowledges
  --seconds N            stop after N seconds (with --speed max: seconds of device time)
  --epoch MS             Unix milliseconds of the first moment. Default: such that the run ends now;
                         at --speed 1 that is the present
  --drain N              wait up to N seconds for acknowledgements in the end (${limits.drainMs / 1_000})
  --truth FILE           ground truth as NDJSON
  --quiet                no progress lines
  --json                 the final report as one JSON object on stdout, progress on stderr
  --help

Fleet
  --devices N            one connection each (${planDefaults.devices}, at most ${limits.devicesMax})
  --seed N               same seed and options, same plan (${planDefaults.seed})
  --interval-ms MS       between two reports of a device (${planDefaults.intervalMs})
  --jitter SHARE         of the interval, early or late (${planDefaults.jitter})
  --qos1 SHARE           devices with QoS 1, the others QoS 0 (${planDefaults.qos1})
  --cbor SHARE           multi-metric devices that speak CBOR, the others JSON (${planDefaults.cbor})
  --clockless SHARE      multi-metric devices without ts and seq (${planDefaults.clockless})
  --points SHARE         single-metric devices that send {"value":..,"ts":..} (${planDefaults.points})
  --faults none|link|some|many   (some; link: nothing but resends, disorder and broken connections)
  --windows FILE         what was acknowledged, by device, metric and window, as NDJSON
  --window-ms MS         length of these windows (10000)

Real
  --from-reading N       first reading of each mote (${realDefaults.fromReading}: 12 minutes before the labels)
  --labels FILE          labelled episodes as NDJSON {device, start, end, readings}
`;

const bothOptions = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "string", default: "1883" },
  username: { type: "string" },
  "password-file": { type: "string" },
  "client-prefix": { type: "string" },
  speed: { type: "string" },
  seconds: { type: "string" },
  drain: { type: "string", default: String(limits.drainMs / 1_000) },
  epoch: { type: "string" },
  truth: { type: "string" },
  quiet: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const;

const fleetOptions = {
  ...bothOptions,
  devices: { type: "string", default: String(planDefaults.devices) },
  seed: { type: "string", default: String(planDefaults.seed) },
  "interval-ms": { type: "string", default: String(planDefaults.intervalMs) },
  jitter: { type: "string", default: String(planDefaults.jitter) },
  qos1: { type: "string", default: String(planDefaults.qos1) },
  cbor: { type: "string", default: String(planDefaults.cbor) },
  clockless: { type: "string", default: String(planDefaults.clockless) },
  points: { type: "string", default: String(planDefaults.points) },
  faults: { type: "string", default: "some" },
  windows: { type: "string" },
  "window-ms": { type: "string", default: "10000" },
} as const;

const realOptions = {
  ...bothOptions,
  "from-reading": { type: "string", default: String(realDefaults.fromReading) },
  labels: { type: "string" },
} as const;

/** Reads the words after the program's name. */
export function parseCommand(words: readonly string[]): Command {
  try {
    return words[0] === "real" ? parseReal(words.slice(1)) : parseFleet(words);
  } catch (error) {
    if (error instanceof UsageError) return { kind: "usage", problem: error.message };
    if (error instanceof TypeError && "code" in error) {
      return { kind: "usage", problem: error.message };
    }
    throw error;
  }
}

/** A sentence for the user; never leaves this file. */
class UsageError extends Error {}

function parseFleet(words: readonly string[]): Command {
  const { values } = parseArgs({ args: [...words], options: fleetOptions, strict: true });
  if (values.help) return { kind: "help" };
  const run = parseRun(values, 1);
  const preset = parsePreset(values.faults);
  const plan: PlanOptions = {
    ...planDefaults,
    seed: numberOf("--seed", values.seed),
    devices: numberOf("--devices", values.devices),
    intervalMs: numberOf("--interval-ms", values["interval-ms"]),
    jitter: numberOf("--jitter", values.jitter),
    qos1: numberOf("--qos1", values.qos1),
    cbor: numberOf("--cbor", values.cbor),
    clockless: numberOf("--clockless", values.clockless),
    points: numberOf("--points", values.points),
    faults: faultPresets[preset],
  };
  if (run.speed !== 1 && run.seconds === undefined && run.epochMs === undefined) {
    throw new UsageError("--speed needs --seconds, or --epoch to say when device time begins");
  }
  const problem = planProblem(plan);
  if (problem !== undefined) throw new UsageError(problem);
  const windowMs = numberOf("--window-ms", values["window-ms"]);
  if (!Number.isInteger(windowMs) || windowMs < 1) {
    throw new UsageError("--window-ms must be a whole number, 1 or more");
  }
  const { truth: truthFile, windows: windowsFile } = values;
  return { kind: "fleet", run, plan, preset, truthFile, windowsFile, windowMs };
}

function parseReal(words: readonly string[]): Command {
  const { values } = parseArgs({ args: [...words], options: realOptions, strict: true });
  if (values.help) return { kind: "help" };
  const fromReading = numberOf("--from-reading", values["from-reading"]);
  if (!Number.isInteger(fromReading) || fromReading < 1) {
    throw new UsageError("--from-reading must be a whole number, 1 or more");
  }
  const run = parseRun(values, realDefaults.speed);
  const { labels: labelsFile, truth: truthFile } = values;
  return { kind: "real", run, fromReading, labelsFile, truthFile };
}

type RunValues = {
  readonly host: string;
  readonly port: string;
  readonly username?: string | undefined;
  readonly "password-file"?: string | undefined;
  readonly "client-prefix"?: string | undefined;
  readonly speed?: string | undefined;
  readonly seconds?: string | undefined;
  readonly drain: string;
  readonly epoch?: string | undefined;
  readonly quiet: boolean;
  readonly json: boolean;
};

function parseRun(values: RunValues, speedDefault: number): RunArguments {
  const port = numberOf("--port", values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new UsageError("--port must be between 1 and 65535");
  }
  if ((values.username === undefined) !== (values["password-file"] === undefined)) {
    throw new UsageError("--username and --password-file go together");
  }
  return {
    host: values.host,
    port,
    username: values.username,
    passwordFile: values["password-file"],
    clientPrefix: values["client-prefix"],
    speed: parseSpeed(values.speed, speedDefault),
    seconds: values.seconds === undefined ? undefined : positiveOf("--seconds", values.seconds),
    drainMs: 1_000 * positiveOf("--drain", values.drain),
    epochMs: values.epoch === undefined ? undefined : parseEpoch(values.epoch),
    isQuiet: values.quiet,
    isJson: values.json,
  };
}

function parseSpeed(text: string | undefined, speedDefault: number): number {
  if (text === undefined) return speedDefault;
  return text === "max" ? Number.POSITIVE_INFINITY : positiveOf("--speed", text);
}

function parseEpoch(text: string): number {
  const epochMs = numberOf("--epoch", text);
  if (!Number.isSafeInteger(epochMs) || epochMs < 0 || epochMs % 2 !== 0) {
    throw new UsageError("--epoch must be even Unix milliseconds");
  }
  return epochMs;
}

function parsePreset(text: string): FaultPreset {
  if (text === "none" || text === "link" || text === "some" || text === "many") return text;
  throw new UsageError("--faults must be none, link, some or many");
}

function positiveOf(name: string, text: string): number {
  const value = numberOf(name, text);
  if (value <= 0) throw new UsageError(`${name} must be more than 0`);
  return value;
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) {
    throw new UsageError(`${name} must be a number, not "${text}"`);
  }
  return value;
}
