#!/usr/bin/env node
/**
 * The program: reads the command line, runs a fleet or a replay, reports.
 *
 * Exit codes: 0 ended as asked (also by SIGINT and SIGTERM), 1 failed, 2 usage.
 */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { type Command, help, parseCommand, type RunArguments } from "./arguments.ts";
import {
  type FleetOptions,
  type FleetOutcome,
  type FleetWatch,
  type Progress,
  runFleet,
} from "./fleet.ts";
import { limits } from "./limits.ts";
import { planPrograms, planProblem, planSpecs } from "./plan.ts";
import { cutMotes, endReadingOf, labelsOf, loadMotes, motePrograms, readingMs } from "./real.ts";
import type { TruthLine } from "./truth.ts";
import { Windows } from "./windows.ts";

type FleetCommand = Extract<Command, { kind: "fleet" }>;
type RealCommand = Extract<Command, { kind: "real" }>;
type Stage = Pick<FleetOptions, "seed" | "clientPrefix" | "devices" | "start">;

/** A failure that is a sentence for the user. */
class Failure extends Error {}

/** For an orderly end without whoever started this; longer than all waits of the fleet together. */
const orphanMsMax = 10_000;

endWithParent();
// No await at the top: see src/agent/cli/main.ts.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

async function main(words: readonly string[]): Promise<number> {
  const command = parseCommand(words);
  try {
    switch (command.kind) {
      case "help":
        process.stdout.write(help);
        return 0;
      case "usage":
        process.stderr.write(`${command.problem}\nTry --help.\n`);
        return 2;
      case "fleet":
        return await performFleet(command);
      case "real":
        return await perform(command, await stageReal(command));
    }
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

/** Started with a channel to a parent, it ends when that is gone: as by SIGTERM, but surely. */
function endWithParent(): void {
  if (process.channel === undefined) return;
  process.once("disconnect", () => {
    setTimeout(() => process.exit(1), orphanMsMax).unref();
    process.kill(process.pid, "SIGTERM");
  });
  // To listen must not keep a fleet alive that has ended.
  process.channel.unref();
}

function stageFleet({ run, plan, preset }: FleetCommand): Stage {
  const durationMs = planMsOf(run);
  return {
    seed: plan.seed,
    clientPrefix: run.clientPrefix ?? `sim-${plan.seed}`,
    devices: planSpecs(plan).map(({ device }) => device),
    start(nowMs) {
      const dated = {
        ...plan,
        durationMs,
        epochMs: run.epochMs ?? epochOf(run, durationMs, nowMs),
      };
      const problem = planProblem(dated);
      if (problem !== undefined) throw new Failure(problem);
      const { faults: rules, devices: _, ...options } = dated;
      const header = { ...options, durationMs: finiteOf(durationMs), faults: preset, rules };
      return { epochMs: dated.epochMs, programs: planPrograms(dated), header };
    },
  };
}

async function stageReal({ run, fromReading, labelsFile }: RealCommand): Promise<Stage> {
  const recorded = await loadMotes();
  if ("kind" in recorded) throw new Failure(recorded.message);
  const endReading = Math.min(
    endReadingOf(recorded),
    fromReading + Math.ceil(planMsOf(run) / readingMs),
  );
  const motes = cutMotes(recorded, { fromReading, endReading });
  const durationMs = (endReading - fromReading) * readingMs;
  if (durationMs <= 0) throw new Failure(`There is no reading from ${fromReading} on.`);
  return {
    seed: 0,
    clientPrefix: run.clientPrefix ?? "sim-real",
    devices: motes.map(({ device }) => device),
    start(nowMs) {
      const time = { epochMs: run.epochMs ?? epochOf(run, durationMs, nowMs), fromReading };
      if (labelsFile !== undefined) writeLines(labelsFile, labelsOf(motes, time));
      const header = { seed: 0, fromReading, endReading, faults: "none" };
      return { epochMs: time.epochMs, programs: motePrograms(motes, time), header };
    },
  };
}

/** Device time to play: Infinity without --seconds. */
function planMsOf({ seconds, speed }: RunArguments): number {
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  return Math.round(seconds * 1_000 * (Number.isFinite(speed) ? speed : 1));
}

/** Device time 0 such that device time and real time meet at the end of the run. */
function epochOf({ speed }: RunArguments, durationMs: number, nowMs: number): number {
  if (speed === 1) return evenOf(nowMs);
  const realMs = Number.isFinite(speed) ? durationMs / speed : 0;
  return evenOf(nowMs - (durationMs - realMs));
}

function evenOf(ms: number): number {
  return 2 * Math.floor(ms / 2);
}

/** JSON has no Infinity: a run without an end has no duration. */
function finiteOf(ms: number): number | undefined {
  return Number.isFinite(ms) ? ms : undefined;
}

/** Its windows are written in the end, also after a failure: what was acknowledged stays true. */
async function performFleet(command: FleetCommand): Promise<number> {
  const { windowsFile, windowMs } = command;
  if (windowsFile === undefined) return await perform(command, stageFleet(command));
  const windows = new Windows({ windowMs, now: () => Date.now() });
  try {
    return await perform(command, stageFleet(command), windows);
  } finally {
    writeLines(windowsFile, [{ line: "options", version: 1, windowMs }, ...windows.lines()]);
  }
}

async function perform(
  { run, truthFile }: Pick<FleetCommand, "run" | "truthFile">,
  stage: Stage,
  watch?: FleetWatch,
): Promise<number> {
  const password = run.passwordFile === undefined ? undefined : readPassword(run.passwordFile);
  const { host, port, username } = run;
  const truth = openTruth(truthFile);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  const plain = run.isJson ? process.stderr : process.stdout;
  const outcome = await runFleet({
    ...stage,
    broker: { host, port, username, password },
    speed: run.speed,
    drainMs: run.drainMs,
    watch,
    reconnectMsMax: limits.reconnectMsMax,
    writeTruth: truth.write,
    progress: (progress) => {
      if (!run.isQuiet) plain.write(`${progressLine(progress)}\n`);
    },
    stop: stop.signal,
  });
  process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  truth.close();
  return report(run, stage, outcome);
}

function report(run: RunArguments, stage: Stage, outcome: FleetOutcome): number {
  if (outcome.kind === "unreachable") throw new Failure(unreachable(run, outcome.reason));
  const { counts, faults, reconnects, seconds } = outcome;
  const { seed, devices } = stage;
  if (run.isJson) {
    const rounded = Math.round(seconds * 1_000) / 1_000;
    const final = {
      seed,
      devices: devices.length,
      ...counts,
      faults,
      reconnects,
      seconds: rounded,
    };
    process.stdout.write(`${JSON.stringify(final)}\n`);
    return 0;
  }
  const named = Object.entries(faults).filter(([, count]) => count > 0);
  process.stdout.write(
    `done: ${devices.length} devices, ${counts.messages} messages (${counts.duplicates} copies), ` +
      `${counts.readings} readings, ${counts.acked} of ${counts.qos1} acknowledged, ` +
      `${counts.dropped} dropped, ${reconnects} reconnects, ${seconds.toFixed(1)} s\n` +
      `faults: ${named.map(([kind, count]) => `${kind} ${count}`).join(", ") || "none"}\n`,
  );
  return 0;
}

function progressLine({
  connected,
  devices,
  inFlight,
  reconnects,
  rate,
  counts,
}: Progress): string {
  return (
    `${connected}/${devices} connected, ${Math.round(rate)} msg/s, ${counts.messages} sent, ` +
    `${counts.acked} acknowledged, ${inFlight} in flight, ${reconnects} reconnects` +
    (counts.dropped > 0 ? `, ${counts.dropped} dropped` : "")
  );
}

function unreachable({ host, port }: RunArguments, reason: string): string {
  const place = `${host} port ${port}`;
  if (/not authorized|bad user/i.test(reason)) {
    return `The broker at ${place} refused the login (${reason}). Give --username and --password-file.`;
  }
  return (
    `No MQTT broker answered at ${place} within ${limits.connectMsMax / 1_000} s (${reason}). ` +
    "Start the broker, or name another with --host and --port."
  );
}

/** Lines are written at once: what was told stays told if the process is killed. */
function openTruth(file: string | undefined): {
  readonly write: (line: TruthLine) => void;
  readonly close: () => void;
} {
  if (file === undefined) return { write: () => undefined, close: () => undefined };
  const failed = `Cannot write the truth to ${file}`;
  const descriptor = orFail(failed, () => openSync(file, "w"));
  return {
    write: (line) => orFail(failed, () => writeSync(descriptor, `${JSON.stringify(line)}\n`)),
    close: () => closeSync(descriptor),
  };
}

function writeLines(file: string, lines: readonly object[]): void {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  orFail(`Cannot write ${file}`, () => writeFileSync(file, text));
}

function readPassword(file: string): string {
  const text = orFail(`Cannot read the password from ${file}`, () => readFileSync(file, "utf8"));
  return text.split(/\r?\n/, 1)[0] ?? "";
}

function orFail<Result>(what: string, action: () => Result): Result {
  try {
    return action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Failure(`${what}: ${reason}`, { cause });
  }
}
