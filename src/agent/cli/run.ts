/** `weir run`: the agent that a configuration file describes, until a signal ends it. */

import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { roughBytesText } from "../config/quantity.ts";
import type { DegradedReason } from "../degraded.ts";
import { systemClock } from "../doors/clock.ts";
import { openSystemd } from "../doors/systemd.ts";
import { openWaitingHttp } from "../http/waiting.ts";
import type { Status } from "../status.ts";
import { type Agent, ceilingOf, startAgent } from "../start.ts";
import { superviseAgent } from "../supervised.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { readConfig } from "./configured.ts";
import { type Say, startJournal } from "./journal.ts";
import { ledgerText } from "./ledger-text.ts";
import { takeOneHeap } from "./one-heap.ts";
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
  const onRead = (read: Config): void => takeOneHeap(ceilingOf(read));
  const config = await readConfig(values.config, { onRead });
  const signal = stopSignal({ seconds });
  let running: Agent | undefined;
  const systemd = openSystemd({
    env: process.env,
    pid: process.pid,
    isAlive: () => running?.status().state !== "failed",
    status: () => (running === undefined ? undefined : stateText(running)),
    onFailed: (why) => say("service", { why }),
  });
  const { agent, fault } = await superviseAgent({
    clock: systemClock(),
    start: (onFailed) => startAgent(config, { onFailed, listen: false }),
    openWaiting: (reason) => openWaiting(config, reason, say),
    onWaiting: ({ name, message }) => {
      say("waiting", { reason: name, why: message });
      systemd?.ready(`waits for its disk: ${message}`);
    },
    onStarted: (started) => {
      sayStarted(started, config, say);
      running = started;
      systemd?.ready(stateText(started));
      const stop = startJournal(started, say);
      return () => {
        running = undefined;
        stop();
      };
    },
    ended: signal.stopped,
  });
  const failure = fault();
  if (failure !== undefined) signal.stop({ why: failure.message, failed: true });
  const { why, failed } = await signal.stopped;
  say("ending", { why });
  systemd?.stopping();
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

function stateText(agent: Agent): string {
  const { state, reasons } = agent.status();
  return [state, ...reasons].join(": ");
}

function sayStarted(agent: Agent, config: Config, say: Say): void {
  const { replayed, log, mqtt, memory } = agent.status();
  const listeners = mqtt.listeners.map((one) => `${one.host}:${one.port} ${one.transport}`);
  say("started", {
    agent: config.agent,
    data: config.dataDirectory,
    mqtt: agent.mqttPort,
    ...(config.mqtt.listeners === undefined ? {} : { listeners }),
    http: agent.httpPort ?? "off",
    replayedRows: replayed.rows,
    memory: ceilingText(memory.ceiling),
  });
  for (const place of log.damage.places) say("damage", { place });
}

function ceilingText(ceiling: Status["memory"]["ceiling"]): string {
  if (ceiling === undefined) return "no ceiling";
  return `${roughBytesText(ceiling.ceilingBytes)} by ${ceiling.from}`;
}

/** Where HTTP is on, it says why there is no agent. */
async function openWaiting(
  { agent, dataDirectory, http }: Config,
  reason: () => DegradedReason,
  say: Say,
): Promise<() => Promise<void>> {
  if (http === undefined) return () => Promise.resolve();
  const server = await openWaitingHttp(http, {
    agent,
    dataDirectory,
    reason,
    clock: systemClock(),
  });
  say("waiting", { http: server.port, longestMs: limits.restartMsMax });
  return server.close;
}
