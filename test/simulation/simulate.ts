/**
 * One simulated world, from a plan to a verdict: the whole agent on simulated doors, devices that
 * send, faults that strike, and in the end a quiet time in which everything must come to rest.
 *
 *   [ devices send, faults strike ][ all is well: what is owed arrives ][ the log once more ][ verdict ]
 *   0                     durationMs
 */

import type { Agent } from "../../src/agent/agent.ts";
import { fileUplinkDefaults } from "../../src/agent/config/config.ts";
import { limits } from "../../src/core/limits.ts";
import type { FaultKind } from "./faults.ts";
import { hearMarks } from "./marks.ts";
import type { Evidence, LinkUse, Stored, Upstream, Violation } from "./oracle/evidence.ts";
import { judge } from "./oracle/judge.ts";
import { type LinkPlan, patientOutbox, type Plan } from "./plan.ts";
import { Trace } from "./trace.ts";
import { saidAtTheEnd } from "./world/agent-words.ts";
import { readFiles, readKafka, verifiedKafka } from "./world/consumer.ts";
import {
  alertsAskIn,
  arrivalsName,
  filesDirectory,
  gatewayConfig,
  outboxTiers,
  sessionsName,
  windowPipelines,
  rawAround,
} from "./world/gateway-config.ts";
import { storedBy } from "./world/stored.ts";
import { surround } from "./world/tamed-globals.ts";
import { Timeline } from "./world/timeline.ts";
import { World } from "./world/world.ts";

/**
 * So long it may take until all has come to rest, once all is well: half an hour, and the two hours by
 * which a clock was ahead at most. An alert of then asks for readings whose time still has to come.
 */
const restMsMax = 1_800_000 + 7_200_000;

export type Outcome = {
  readonly seed: number;
  readonly violations: readonly Violation[];
  readonly simulatedMs: number;
  readonly readings: number;
  readonly acknowledged: number;
  readonly lives: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  readonly marks: readonly string[];
  readonly trace: readonly string[];
};

/** `detailed`: the trace has every request, call and mark. One at a time in a process. */
export async function simulate(
  plan: Plan,
  { detailed = false }: { readonly detailed?: boolean } = {},
): Promise<Outcome> {
  const timeline = new Timeline();
  const trace = new Trace({ now: () => timeline.now, detailed });
  const world = new World(plan, { timeline, trace });
  const marks = new Set<string>();
  const onError = (error: unknown): void => world.fail(`a bug: ${textOf(error)}`);
  process.on("unhandledRejection", onError);
  process.on("uncaughtException", onError);
  hearMarks((name) => {
    marks.add(name);
    trace.detail("mark", () => name);
  });
  try {
    world.begin();
    await timeline.run(() => timeline.now >= plan.durationMs || world.failures.length > 0);
    if (world.failures.length === 0) await comeToRest(world, timeline);
    const violations = judge(await evidenceOf(world, { plan, timeline, trace }));
    for (const { promise, what } of violations) trace.tell("verdict", `${promise}: ${what}`);
    return {
      seed: plan.seed,
      violations,
      simulatedMs: timeline.now,
      readings: world.readings.length,
      acknowledged: world.readings.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined)
        .length,
      lives: world.gateway.lives,
      faults: Object.fromEntries(world.struck),
      marks: [...marks].toSorted(),
      trace: trace.lines,
    };
  } finally {
    hearMarks(undefined);
    surround(undefined);
    process.off("unhandledRejection", onError);
    process.off("uncaughtException", onError);
  }
}

async function comeToRest(world: World, timeline: Timeline): Promise<void> {
  world.calm();
  await untilAtRest(world, timeline);
  if (world.failures.length > 0 || world.isAtRest) return;
  world.fail(`${restMsMax} ms after all was well again: ${world.unrest}`);
}

async function untilAtRest(world: World, timeline: Timeline): Promise<void> {
  const deadline = timeline.now + restMsMax;
  await timeline.run(() => world.isAtRest || timeline.now > deadline || world.failures.length > 0);
}

// ---- evidence ----

type Stage = { readonly plan: Plan; readonly timeline: Timeline; readonly trace: Trace };

async function evidenceOf(world: World, of: Stage): Promise<Evidence> {
  const { plan, timeline } = of;
  const { agent } = world.gateway;
  const isWell = world.failures.length === 0 && agent !== undefined;
  const isLogWhole = isWell && agent.status().log.start === 0;
  const said = isWell ? saidAtTheEnd(agent) : undefined;
  const stored = isWell ? await storedAt("at the end", agent, { world, timeline }) : [];
  if (isWell && !isLogWhole) {
    stored.push(...(await storedBehindAKill(world, of)));
    await end(world, timeline);
  }
  world.link.settle();
  const read = [
    ...(plan.uplinks.kafka ? readKafka(world.link.cluster) : []),
    ...(plan.uplinks.files
      ? readFiles(world.gateway.disk, { directory: filesDirectory, place: "files" })
      : []),
  ];
  const replayed = isLogWhole ? await replay(world, of) : undefined;
  stored.push(...(replayed?.stored ?? []));
  return {
    readings: world.readings,
    broken: world.broken,
    places: [
      ...(plan.uplinks.kafka ? (["kafka"] as const) : []),
      ...(plan.uplinks.files ? (["files"] as const) : []),
    ],
    protocolFaults: world.protocolFaults,
    windows: windowPipelines,
    sessions: sessionsName,
    arrivals: arrivalsName,
    outbox: plan.outbox,
    outboxTiers,
    latenessMs: plan.latenessMs,
    // Operators look at the clock so often: what they heard since the last look they heard then.
    idleMs: plan.source.idleMs - limits.tickMs,
    futureDevices: plan.devices
      .filter(({ aheadMs }) => aheadMs > plan.source.futureMs)
      .map(({ name }) => name),
    clockWasRight: !world.wasClockWrong,
    upstream: read.filter(({ lane }) => lane !== "raw"),
    raw: {
      asks: world.askers.map(({ use }) => use),
      around: alertsAskIn(plan) ? rawAround : undefined,
      records: read.filter(({ lane }) => lane === "raw"),
    },
    replayed: replayed?.upstream,
    stored,
    ledger: said?.ledger,
    samples: world.samples,
    failures: world.failures,
    leftOver: said?.leftOver ?? 0,
    incidents: said?.incidents ?? [],
    unproven: plan.uplinks.kafka ? await verifiedKafka(world.link.cluster) : undefined,
    medium: world.medium,
    changedBuffers: world.changedBuffers,
    transactions: world.link.transactions,
    links: plan.uplinks.links.map((link) => linkUse(link, world)),
  };
}

/** When a quota ends a delivery of each lane may be under way, in a session that was opened for it. */
const slackBytes = 8_192;

/** Worlds begin eight hours before a day ends, and no clock is put forward by so much. */
function linkUse(link: LinkPlan, { passings }: World): LinkUse {
  const { name, address, bandwidth, quotaBytes, closedMinutes } = link;
  const over = passings.filter((each) => each.address === address);
  return {
    name,
    bandwidth,
    quotaBytes,
    slackBytes,
    closedUntilMs: closedMinutes * 60_000,
    sent: over
      .filter(({ sent }) => sent > 0)
      .map(({ atMs, sent, lane, isRecords }) => ({ atMs, bytes: sent, lane, isRecords })),
    receivedBytes: over.reduce((sum, { received }) => sum + received, 0),
  };
}

/** All readings that the agent has: once, or not where the world fails meanwhile. */
async function storedAt(
  when: string,
  agent: Agent | undefined,
  { world, timeline }: { readonly world: World; readonly timeline: Timeline },
): Promise<Stored[]> {
  if (agent === undefined || world.failures.length > 0) return [];
  const found: Stored[] = [];
  world.isAsked = true;
  void storedBy(agent, when).then((stored) => found.push(stored));
  const deadline = timeline.now + restMsMax;
  await timeline.run(
    () => found.length > 0 || timeline.now > deadline || world.failures.length > 0,
  );
  world.isAsked = false;
  if (found.length === 0) world.fail(`${when}, what is stored is not answered`);
  return found;
}

/** The process is killed once more; the next one has the same, of tables and of the log. */
async function storedBehindAKill(world: World, { timeline, trace }: Stage): Promise<Stored[]> {
  trace.tell("world", "the process is killed, and starts once more");
  await nextLife(world, timeline);
  return await storedAt("behind a kill", world.gateway.agent, { world, timeline });
}

/** `meanwhile`: between the two. */
async function nextLife(
  world: World,
  timeline: Timeline,
  meanwhile: () => void = () => undefined,
): Promise<void> {
  const { gateway } = world;
  gateway.life?.end("kill", "the end of the world");
  meanwhile();
  const { lives } = gateway;
  await timeline.run(() => gateway.lives > lives);
  world.disturb();
  await untilAtRest(world, timeline);
}

/** An orderly end of the agent. */
async function end(world: World, timeline: Timeline): Promise<void> {
  let isOver = false;
  void world.gateway.end().then(() => {
    isOver = true;
  });
  await timeline.run(() => isOver || world.failures.length > 0);
}

/** What the same log gives once more, from nothing. */
async function replay(
  world: World,
  { plan, timeline, trace }: Stage,
): Promise<{ readonly upstream: readonly Upstream[]; readonly stored: readonly Stored[] }> {
  const directory = "/replayed";
  const { gateway } = world;
  trace.tell("world", "the log is applied once more, from nothing");
  // An orderly end would let go of the log's beginning.
  const uplink = { ...fileUplinkDefaults, directory };
  await nextLife(world, timeline, () =>
    gateway.forgetState({
      ...gatewayConfig({ ...plan, outbox: patientOutbox }),
      // What alerts ask for depends on when they are raised: it is no output of the log.
      rawAround: {},
      uplinks: [uplink],
    }),
  );
  const stored = await storedAt("once more", gateway.agent, { world, timeline });
  await end(world, timeline);
  return { upstream: readFiles(gateway.disk, { directory, place: "replayed" }), stored };
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
