/** `weir status`: asks a running agent over HTTP. */

import { counted } from "../../core/counted.ts";
import type { LedgerView } from "../../edge-ops/ledger.ts";
import type { BrokerStatus } from "../ingest/mqtt/subscriber/broker-counters.ts";
import { durationText, roughBytesText } from "../config/quantity.ts";
import type { Status } from "../status.ts";
import { addressOf, agentAt, agentOptions, unknownAgent } from "./agent-client.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { auditText } from "./remote-text.ts";
import { ledgerText } from "./ledger-text.ts";
import { uplinkLines } from "./link-text.ts";
import { timeText } from "./store-text.ts";

/** Of the remote configuration; weir remote status has all. */
const AUDIT_LINES = 3;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...agentOptions,
    alive: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const address = await addressOf(values);
  const ask = agentAt(address);
  if (values.alive) {
    // Who is not alive answers with another status, or not at all.
    const health = await ask("/healthz");
    console.log(values.json ? JSON.stringify(health, undefined, 2) : "alive");
    return exitCodes.ok;
  }
  const status = await ask("/v1/status");
  const ledger = await ask("/v1/ledger");
  if (!isStatus(status) || !isLedger(ledger)) throw unknownAgent(address);
  if (values.json) console.log(JSON.stringify({ status, ledger }, undefined, 2));
  else console.log(`${statusText(status)}\n\n${ledgerText(ledger)}`);
  return status.state === "running" && ledger.balanced ? exitCodes.ok : exitCodes.failed;
}

/** By what tells it from other programs; an agent of this version is trusted with the rest. */
function isStatus(answer: unknown): answer is Status {
  return typeof answer === "object" && answer !== null && "agent" in answer && "log" in answer;
}

function isLedger(answer: unknown): answer is LedgerView {
  return typeof answer === "object" && answer !== null && "balanced" in answer;
}

/** A line for each part that the agent has, and more below it where something is wrong. */
export function statusText(status: Status): string {
  return [
    `agent     ${status.agent} (weir ${status.version}) ${[status.state, ...status.reasons].join(": ")}`,
    `data      ${status.dataDirectory}`,
    ...status.mqtt.listeners.map(
      ({ host, port, transport }) => `mqtt      ${host}:${port} ${transport}`,
    ),
    ...status.brokers.map((broker) => `broker    ${brokerText(broker)}`),
    `log       positions ${status.log.start} to ${status.log.end}, ${status.log.bytes} bytes, durable after ${status.log.appendMs.p50} ms (p99 ${status.log.appendMs.p99} ms)`,
    `tables    ${tablesText(status.tables)}`,
    ...(status.flash === undefined ? [] : [`writes    ${writesText(status.flash)}`]),
    `apply     applied ${status.apply.applied}, checkpoint ${status.apply.checkpointed}`,
    ...Object.entries(status.outbox).map(
      ([lane, { records, bytes, bytesMax }]) =>
        `outbox    ${lane}: ${counted(records, "record")}, ${bytes} of ${bytesMax} bytes`,
    ),
    ...Object.entries(status.outboxDropped).map(
      ([pipeline, { records, readings }]) =>
        `outbox    ${pipeline}: ${counted(records, "record")} dropped, with ${counted(readings, "reading")}`,
    ),
    ...uplinkLines(status),
    ...(status.raw.open === 0
      ? []
      : [
          `raw       ${counted(status.raw.open, "request")} open ${status.raw.trouble ?? ""}`.trimEnd(),
        ]),
    ...(status.raw.commands === undefined
      ? []
      : [`commands  ${commandsText(status.raw.commands)}`]),
    ...(status.savepoints === undefined ? [] : [`savepoint ${savepointsText(status.savepoints)}`]),
    ...remoteLines(status.remote),
    `dlq       ${status.deadLetters.kept} kept of ${status.deadLetters.total}`,
    ...status.notices.map((notice) => `notice    ${notice}`),
  ].join("\n");
}

/** What there is of it, and what went wrong last while it is not well. */
function brokerText({
  name,
  state,
  url,
  counters,
  inFlight,
  trouble,
  brokerDropped,
}: BrokerStatus): string {
  const lost = [
    ...(counters.sessionsLost === 0 ? [] : [`${counted(counters.sessionsLost, "session")} lost`]),
    ...(brokerDropped === undefined ? [] : [`${brokerDropped} dropped there, of all its clients`]),
  ];
  const counts = `${counters.received} received, ${inFlight} not acknowledged, ${counted(counters.reconnects, "reconnect")}`;
  return [
    `${name} ${state} at ${url}: ${[counts, ...lost].join(", ")}`,
    ...(trouble === undefined || state === "running" ? [] : [trouble.message]),
  ].join("\n          ");
}

function writesText(flash: NonNullable<Status["flash"]>): string {
  const { writtenBytes, capBytes, level, waitMs } = flash;
  const sparing = level === 0 ? "" : `; to keep to it readings wait up to ${durationText(waitMs)}`;
  return `${roughBytesText(writtenBytes)} of ${roughBytesText(capBytes)} today${sparing}`;
}

/** Where readings are, and what became of those that are not there any more. */
function tablesText({
  tables,
  bytes,
  inTables,
  inMemory,
  counts,
  classes,
}: Status["tables"]): string {
  const gone = (["expired", "erased", "lost"] as const).flatMap((fate) =>
    counts[fate] > 0 ? [`, ${counts[fate]} ${fate}`] : [],
  );
  const byClass = classes.flatMap(({ class: name, ...of }) =>
    name === undefined
      ? []
      : [`class ${name}: ${counted(of.readings, "reading")}, ${of.bytes} bytes`],
  );
  return [
    `${counted(inTables, "reading")} in ${counted(tables, "table")} of ${bytes} bytes, ${inMemory} in memory${gone.join("")}`,
    ...byClass,
  ].join("\n          ");
}

/** What came out of the topic of commands, and what is wrong. */
function commandsText(commands: NonNullable<Status["raw"]["commands"]>): string {
  const { topic, state, taken, refused, unreadable, gone, trouble, lastRefused } = commands;
  const lost = gone === 0 ? "" : `, ${counted(gone, "offset")} gone before they were read`;
  return [
    `${topic} ${state}: ${taken} taken, ${refused} refused, ${unreadable} unreadable${lost}`,
    ...(trouble === undefined ? [] : [trouble]),
    ...(lastRefused === undefined ? [] : [`last refused: ${lastRefused}`]),
  ].join("\n          ");
}

/** How old the gateway would be that is made from what is upstream, and what is wrong. */
function savepointsText(savepoints: NonNullable<Status["savepoints"]>): string {
  const { topic, state, sentChunks, chunks, last, isLate, trouble } = savepoints;
  const sends =
    state === "sending" ? `sending, ${sentChunks} of ${counted(chunks, "chunk")}` : state;
  const newest =
    last === undefined
      ? "none since the start"
      : `last of ${timeText(last.made)} at position ${last.position}, ${roughBytesText(last.bytes)}`;
  return [
    `${topic} ${sends}: ${newest}${isLate ? ", the next is late" : ""}`,
    ...(trouble === undefined ? [] : [trouble]),
  ].join("\n          ");
}

/** What is in force, where more comes from, and what became of the last ones. */
function remoteLines(remote: Status["remote"]): string[] {
  if (remote === undefined) return [];
  const { inForce, trial, channels, audit } = remote;
  const what = inForce === undefined ? "the local file alone" : `version ${inForce.version}`;
  const tried = trial === undefined ? "" : `, on trial (start ${trial.tries} of ${trial.triesMax})`;
  const from = channels.map(({ kind, topic, state }) => `${kind} ${topic} ${state}`).join(", ");
  return [
    `remote    ${what}${tried}; from ${from}`,
    ...audit.slice(-AUDIT_LINES).map((entry) => `audit     ${auditText(entry)}`),
  ];
}
