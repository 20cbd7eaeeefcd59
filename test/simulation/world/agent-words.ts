/** What the agent says of itself, in the oracle's terms. */

import type { Agent } from "../../../src/agent/agent.ts";
import { limits } from "../../../src/core/limits.ts";
import type { Counts, Evidence, Sample } from "../oracle/evidence.ts";

/** At the end. */
export function saidAtTheEnd(agent: Agent): {
  readonly ledger: NonNullable<Evidence["ledger"]>;
  readonly leftOver: number;
  readonly incidents: readonly string[];
} {
  const { sources, pipelines } = agent.ledger();
  return {
    ledger: {
      sources: sources.map(({ messages, readings }): Counts => {
        const { decoded, ...rest } = readings;
        return { ...messages, readings: decoded, ...rest };
      }),
      pipelines: new Map(
        pipelines.map(({ pipeline, balanced: _, ...counts }): [string, Counts] => [
          pipeline,
          counts,
        ]),
      ),
    },
    leftOver: keptBy(agent),
    incidents: agent
      .status()
      .uplinks.flatMap(({ lanes }) =>
        Object.values(lanes).flatMap(({ incidents }) =>
          incidents.count === 0 ? [] : [JSON.stringify(incidents.last)],
        ),
      ),
  };
}

/** What still goes on in it; empty when it is at rest. */
export function unrestOf(agent: Agent): string {
  const { state, reasons, outputs, uplinks } = agent.status();
  if (state !== "running") return `the agent is ${state}: ${reasons.join("; ")}`;
  const open = agent.ledger().pipelines.find((pipeline) => pipeline.open > 0);
  if (open !== undefined) return `${open.open} readings of ${open.pipeline} are open`;
  if (outputs.pendingBytes > 0) return "outputs wait for their commit";
  const { trouble: tableTrouble } = agent.stored.tables.status;
  if (tableTrouble !== undefined) return `tables are not written: ${tableTrouble.message}`;
  const { open: asked } = agent.stored.raw.counters;
  if (asked > 0) return `${asked} requests for raw readings are open`;
  const kept = keptBy(agent);
  if (kept === 0) return "";
  const troubles = uplinks.map(({ name, state: how, trouble }) => `${name} ${how}: ${trouble}`);
  return `${kept} records are in the outbox; ${troubles.join("; ")}`;
}

/** What is bounded, and by what. */
export function boundedIn(
  agent: Agent,
  {
    logBytesMax,
    outboxBytesMax,
  }: { readonly logBytesMax: number; readonly outboxBytesMax: number },
): Sample["bounded"] {
  const { log, outputs, outbox, mqtt, brokers } = agent.status();
  const outboxBytes = Object.values(outbox).reduce((sum, { bytes }) => sum + bytes, 0);
  const { heldBytes = 0, splitBytes = 0, outboundBytes = 0 } = mqtt.counters ?? {};
  const owed = brokers.map(({ inFlight }) => inFlight);
  return {
    "unacknowledged messages of brokers": [Math.max(0, ...owed), 40],
    "log bytes": [log.bytes, logBytesMax],
    // A frame is applied whole, and a start applies all that it replays; only then the next one waits.
    "pending output bytes": [outputs.pendingBytes, limits.pendingOutputBytesMax + 262_144],
    "outbox bytes": [outboxBytes, outboxBytesMax],
    "held bytes": [heldBytes, limits.heldBytesMax],
    "split bytes": [splitBytes, limits.heldBytesMax],
    "outbound bytes": [outboundBytes, limits.outboundBytesMax],
  };
}

function keptBy(agent: Agent): number {
  return Object.values(agent.status().outbox).reduce((sum, { records }) => sum + records, 0);
}
