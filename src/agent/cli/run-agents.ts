/** The agents of a process that runs, one after another: one, unless its configuration comes from afar. */

import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { roughBytesText } from "../config/quantity.ts";
import type { DegradedReason } from "../degraded-reason.ts";
import { systemClock } from "../doors/clock.ts";
import { openWaitingHttp } from "../http/waiting.ts";
import type { RemoteStatus } from "../remote/remote-status.ts";
import type { Status } from "../status.ts";
import { type Agent, startAgent } from "../start.ts";
import { closeFailed, type Ended, superviseAgent, type WaitingOptions } from "../supervised.ts";
import type { FromAfar } from "./from-afar.ts";
import { type Say, startJournal } from "./journal.ts";
import type { StopSignal } from "./stop-signal.ts";

export type RunOptions = {
  readonly local: Config;
  readonly afar: FromAfar | undefined;
  readonly signal: StopSignal;
  readonly say: Say;
  /** It waits for its disk. */
  readonly onWaiting: (reason: DegradedReason) => void;
  /** It runs and listens; the result is called before it is closed for another, or has failed. */
  readonly onStarted: (agent: Agent) => () => void;
};

/** One agent after another, as configurations come from afar, until it is to end. */
export async function runAgents(options: RunOptions): Promise<Ended<Agent>> {
  const { local, afar, signal, say } = options;
  const over = new AbortController();
  void signal.stopped.then(() => over.abort());
  for (let isFirst = true; ; isFirst = false) {
    const config = (await afar?.remote.begin()) ?? local;
    if (!isFirst) say("configuring", factsOf(afar?.remote.status));
    const next = new AbortController();
    void afar?.remote.changed.then(() => next.abort());
    const ended = await runAgent(config, options).catch(async (error: unknown) => {
      if ((await afar?.remote.failed(error)) === true) return undefined;
      throw error;
    });
    if (ended === undefined) continue;
    const failure = ended.fault();
    const isTakenBack = failure !== undefined && (await afar?.remote.failed(failure)) === true;
    const isOver = over.signal.aborted || !next.signal.aborted;
    if (!isTakenBack && (failure !== undefined || isOver)) return ended;
    if (isTakenBack && ended.agent !== undefined) await closeFailed(ended.agent);
    else await ended.agent?.close();
  }
}

/** What the next agent starts with. */
function factsOf(remote: RemoteStatus | undefined): Readonly<Record<string, string | number>> {
  const { inForce, trial } = remote ?? {};
  if (inForce === undefined) return { with: "the local file alone" };
  return { with: `version ${inForce.version}`, ...(trial && { start: trial.tries }) };
}

/** How the process waits for its disk until the signal. HTTP and the agent's name are the local file's alone. */
export function waitingOptions({
  local,
  signal,
  say,
  onWaiting,
}: Omit<RunOptions, "afar" | "onStarted">): WaitingOptions {
  return {
    clock: systemClock(),
    openWaiting: (reason) => openWaiting(local, reason, say),
    onWaiting: (reason) => {
      say("waiting", { reason: reason.name, why: reason.message });
      onWaiting(reason);
    },
    ended: signal.stopped,
  };
}

function runAgent(config: Config, options: RunOptions): Promise<Ended<Agent>> {
  const { afar, signal, say } = options;
  return superviseAgent({
    ...waitingOptions(options),
    start: (onFailed) =>
      startAgent(config, {
        onFailed,
        listen: false,
        ...(afar === undefined ? {} : { remote: () => afar.status }),
      }),
    // The store that was given up may be the trial's doing.
    isForCaller: (fault) => afar?.remote.isBlamed(fault) === true,
    onStarted: (started) => {
      sayStarted(started, config, say);
      afar?.listens();
      const endJournal = startJournal(started, say);
      const endWatch = afar?.remote.started(started);
      const stop = options.onStarted(started);
      return () => {
        stop();
        endWatch?.();
        endJournal();
      };
    },
    ended:
      afar === undefined ? signal.stopped : Promise.race([signal.stopped, afar.remote.changed]),
  });
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
