/** `weir run`: the agent that a configuration file describes, until a signal ends it. */

import type { Config } from "../config/config.ts";
import type { DegradedReason } from "../degraded-reason.ts";
import { openSystemd } from "../doors/systemd.ts";
import { type Agent, ceilingOf } from "../start.ts";
import { type Ended, openOnDisk } from "../supervised.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { readConfig } from "./configured.ts";
import { openFromAfar } from "./from-afar.ts";
import type { Say } from "./journal.ts";
import { ledgerText } from "./ledger-text.ts";
import { takeOneHeap } from "./one-heap.ts";
import { runAgents, waitingOptions } from "./run-agents.ts";
import { secondsOption, stopSignal } from "./stop-signal.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    seconds: { type: "string" },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const seconds = secondsOption(values.seconds);
  const say: Say = (event, facts) =>
    console.log(
      values.json
        ? JSON.stringify({ time: new Date().toISOString(), event, ...facts })
        : `weir: ${event} ${Object.entries(facts)
            .map(([name, value]) => `${name}=${String(value)}`)
            .join(" ")}`,
    );
  let text = "";
  const onRead = (read: Config, as: string): void => {
    text = as;
    takeOneHeap(ceilingOf(read));
  };
  const local = await readConfig(values.config, { onRead });
  const signal = stopSignal({ seconds });
  let running: Agent | undefined;
  const systemd = openSystemd({
    env: process.env,
    pid: process.pid,
    isAlive: () => running?.status().state !== "failed",
    status: () => (running === undefined ? undefined : stateText(running)),
    onFailed: (why) => say("service", { why }),
  });
  const life = {
    local,
    signal,
    say,
    onWaiting: ({ message }: DegradedReason) => systemd?.ready(`waits for its disk: ${message}`),
  };
  const opened = await openOnDisk(waitingOptions(life), () =>
    openFromAfar(local, { file: values.config, text, say }),
  );
  await using afar = opened === "ended" ? undefined : opened;
  const onStarted = (started: Agent): (() => void) => {
    running = started;
    systemd?.ready(stateText(started));
    return () => {
      running = undefined;
    };
  };
  const { agent, fault } =
    opened === "ended" ? neverStarted : await runAgents({ ...life, afar, onStarted });
  const failure = fault();
  if (failure !== undefined) signal.stop({ why: failure.message, failed: true });
  const { why, failed } = await signal.stopped;
  say("ending", { why });
  systemd?.stopping();
  if (!failed) await afar?.remote.stopped();
  if (agent === undefined) return exitCodes.ok; // it waited: there is nothing to close
  await agent.close();
  systemd?.close();
  const late = fault();
  if (late !== undefined && !failed) say("failed", { why: late.message }); // while it ended
  const ledger = agent.ledger();
  if (values.json) say("ended", { ledger });
  else console.log(`\n${ledgerText(ledger)}`);
  return late !== undefined || !ledger.balanced ? exitCodes.failed : exitCodes.ok;
}

const neverStarted: Ended<Agent> = { agent: undefined, fault: () => undefined };

function stateText(agent: Agent): string {
  const { state, reasons } = agent.status();
  return [state, ...reasons].join(": ");
}
