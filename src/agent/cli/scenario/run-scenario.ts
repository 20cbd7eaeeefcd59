/** `weir sim --scenario FILE [--verify]`: an outage script against the agent, and what it has shown. */

import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { counted } from "../../../core/counted.ts";
import { systemClock } from "../../doors/clock.ts";
import { durationPattern, durationText, millisOf } from "../../config/quantity.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "../command.ts";
import { type Program, weirProgram } from "../own-program.ts";
import { scratchDirectory } from "../scratch-directory.ts";
import { stopSignal } from "../stop-signal.ts";
import { type Played, type PlayOptions, type PlayProgress, playScenario } from "./play.ts";
import { readScenario, type Scenario } from "./scenario-file.ts";
import { scenarioText } from "./scenario-text.ts";
import { readFiles, readKafka } from "./upstream.ts";
import { type ScenarioVerdict, verdictOf } from "./verdict.ts";
import { WindowBook } from "./window-book.ts";

const madeBy = "weir sim";

export async function runScenario(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    scenario: { type: "string" },
    verify: { type: "boolean", default: false },
    data: { type: "string", default: "weir-sim-data" },
    drain: { type: "string", default: "10m" },
    program: { type: "string" },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const { scenario: file, verify, json } = values;
  if (file === undefined) throw new UsageError("say which scenario: --scenario FILE");
  const drainMs = durationOption("--drain", values.drain);
  const scenario = await readScenario(file);
  const directory = resolve(values.data);
  await scratchDirectory(directory, { madeBy, fresh: true });
  const program = values.program === undefined ? weirProgram() : programIn(values.program);
  const played = await play(scenario, { directory, drainMs, program });
  const verdict = verify ? await verified(played) : undefined;
  if (json) console.log(JSON.stringify(reportOf(scenario, played, verdict)));
  else console.log(scenarioText(scenario, played, verdict));
  const first = verdict === undefined ? played.troubles[0] : verdict.first;
  if (first === undefined) return exitCodes.ok;
  console.error(`weir: ${first}`);
  if (played.troubles.length > 0) console.error(`the agent said last:\n${played.lines.join("\n")}`);
  return exitCodes.failed;
}

async function play(
  scenario: Scenario,
  options: Pick<PlayOptions, "directory" | "drainMs" | "program">,
): Promise<Played> {
  const stop = new AbortController();
  void stopSignal({ seconds: Infinity }).stopped.then(() => stop.abort());
  const line = progressLine(scenario.forMs);
  try {
    return await playScenario(scenario, {
      ...options,
      say: line.say,
      onProgress: line.show,
      stop: stop.signal,
    });
  } finally {
    line.clear();
  }
}

async function verified(played: Played): Promise<ScenarioVerdict> {
  const book = new WindowBook();
  const { agent, kafka, filesDirectory } = played;
  const upstream =
    kafka === undefined
      ? await readFiles(filesDirectory, book)
      : await readKafka(kafka, { agent, clock: systemClock(), book });
  return verdictOf({ ...played, upstream, book });
}

function reportOf(
  scenario: Scenario,
  played: Played,
  verdict: ScenarioVerdict | undefined,
): object {
  const { agent, counts, link, devices, truth, ledger, seconds, drainSeconds, troubles } = played;
  return {
    seed: scenario.seed,
    agent,
    seconds,
    drainSeconds,
    counts,
    link,
    devices,
    fleet: { ...truth.totals, acknowledged: truth.acknowledged, pending: truth.pending },
    ledger,
    troubles,
    ...(verdict === undefined
      ? {}
      : { verdict: { isWhole: verdict.first === undefined, ...verdict } }),
  };
}

function programIn(file: string): Program {
  try {
    accessSync(file, constants.X_OK);
  } catch {
    throw new UsageError(`--program must be a program that can be started, which ${file} is not`);
  }
  return { file: resolve(file), args: [] };
}

function durationOption(name: string, text: string): number {
  if (durationPattern.test(text)) return millisOf(text);
  throw new UsageError(
    `${name} must be a duration such as 30s or 10m, not ${JSON.stringify(text)}`,
  );
}

/** On a terminal a line that is drawn over; what happens on lines of its own. All of it on stderr. */
function progressLine(forMs: number): {
  readonly say: (text: string) => void;
  readonly show: (progress: PlayProgress) => void;
  readonly clear: () => void;
} {
  const { stderr } = process;
  const begun = performance.now();
  let isDrawn = false;
  const clear = (): void => {
    if (isDrawn) stderr.write("\r\u001b[2K");
    isDrawn = false;
  };
  return {
    say: (text) => {
      clear();
      stderr.write(`${clockText(performance.now() - begun)} ${text}\n`);
    },
    show: ({ ms, agent, messages, waiting }) => {
      if (!stderr.isTTY) return;
      const rows =
        messages === undefined ? "" : `, ${counted(messages, "reading")} since its start`;
      const outbox = waiting === undefined ? "" : `, ${counted(waiting, "record")} waiting`;
      stderr.write(
        `\r\u001b[2K${clockText(ms)} of ${durationText(forMs)}: agent ${agent}${rows}${outbox}`,
      );
      isDrawn = true;
    },
    clear,
  };
}

function clockText(ms: number): string {
  const seconds = Math.floor(ms / 1_000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
