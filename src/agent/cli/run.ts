/** `weir run`: the agent that a configuration file describes, until a signal ends it. */

import type { Fault } from "../../core/faults.ts";
import { startAgent } from "../start.ts";
import { exitCodes, parseOptions, refusePositionals, wholeOption } from "./command.ts";
import { readConfig } from "./configured.ts";
import { startJournal } from "./journal.ts";
import { ledgerText } from "./ledger-text.ts";
import { secondsMax, stopSignal } from "./stop-signal.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    seconds: { type: "string" },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const seconds = wholeOption(values.seconds, {
    name: "--seconds",
    fallback: Infinity,
    min: 1,
    max: secondsMax,
  });
  const say = (event: string, facts: Readonly<Record<string, unknown>>): void =>
    console.log(
      values.json
        ? JSON.stringify({ time: new Date().toISOString(), event, ...facts })
        : `weir: ${event} ${Object.entries(facts)
            .map(([name, value]) => `${name}=${String(value)}`)
            .join(" ")}`,
    );
  const config = await readConfig(values.config);
  const signal = stopSignal({ seconds });
  let fault: Fault | undefined;
  const agent = await startAgent(config, {
    onFailed: (failure) => {
      fault = failure;
      signal.stop({ why: failure.message, failed: true });
    },
  });
  const { replayed, log, mqtt } = agent.status();
  const listeners = mqtt.listeners.map((one) => `${one.host}:${one.port} ${one.transport}`);
  say("started", {
    agent: config.agent,
    data: config.dataDirectory,
    mqtt: agent.mqttPort,
    ...(config.mqtt.listeners === undefined ? {} : { listeners }),
    http: agent.httpPort ?? "off",
    replayedRows: replayed.rows,
  });
  for (const place of log.damage.places) say("damage", { place });
  const stopJournal = startJournal(agent, say);
  const { why, failed } = await signal.stopped;
  stopJournal();
  say("ending", { why });
  await agent.close();
  if (fault !== undefined && !failed) say("failed", { why: fault.message }); // while it ended
  const ledger = agent.ledger();
  if (values.json) say("ended", { ledger });
  else console.log(`\n${ledgerText(ledger)}`);
  return fault !== undefined || !ledger.balanced ? exitCodes.failed : exitCodes.ok;
}
