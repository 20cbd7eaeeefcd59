/**
 * The agent: opens what it is made of, in order, and closes it in the opposite order.
 *
 *   log -> replay -> loop -> drain -> HTTP -> MQTT, external brokers
 *
 * Listeners open last, so that nobody is acknowledged before recovery is complete; they close first,
 * so that everything received is appended, applied and committed before the log closes. The doors,
 * the state store among them, are closed by whoever opened them, once `onClosed` is called.
 */

import { isDeepStrictEqual } from "node:util";
import type { Kv } from "../core/doors.ts";
import type { AgentOptions } from "./agent-options.ts";
import { limits } from "../core/limits.ts";
import type { Alert } from "../core/record.ts";
import { sourceId } from "../core/units.ts";
import type { LedgerView } from "../edge-ops/ledger.ts";
import { openCheckedKv } from "../store/state/checked-kv.ts";
import { readHeldBack } from "../store/state/held-back.ts";
import { openOutboxRollup, type OutboxRollup } from "../store/outbox/outbox-rollup.ts";
import { patientDisk } from "../store/patient-disk.ts";
import { type Drain, drained, openDrain } from "../sync/drain.ts";
import type { SavepointPublisher } from "../sync/kafka/savepoints/publisher.ts";
import { ClockTrust } from "./clock-trust.ts";
import { budgetSharesOf } from "./config/budget-shares.ts";
import { compactionPolicyOf } from "./config/compaction-policy.ts";
import { dataflowSpecOf, topicsMaxOf } from "./config/config.ts";
import { heardTopics, ownFilters } from "./config/own-filters.ts";
import { listenersOf } from "./config/listener-config.ts";
import { deadLetterViews } from "./dead-letter-views.ts";
import type { DegradedReason } from "./degraded-reason.ts";
import { degradedReasons } from "./degraded.ts";
import type { GuardOptions } from "./http/guard.ts";
import { Bodies } from "./http/bodies.ts";
import { type HttpServer, httpStatus, openHttp } from "./http/server.ts";
import { Feeder } from "./ingest/feeder.ts";
import { createIntake, type Intake } from "./ingest/intake.ts";
import { Posts } from "./ingest/post/posts.ts";
import { type Front, openFront } from "./ingest/mqtt/front/front.ts";
import { type Access, noAccessStatus, openAccess } from "./ingest/mqtt/access/access.ts";
import type { SecurityEvent } from "./ingest/mqtt/access/security-events.ts";
import { openSubscribers, type Subscribers } from "./ingest/mqtt/subscriber/subscribers.ts";
import { FlashCap } from "./flash/flash-cap.ts";
import { LinkDesk } from "./uplinks/link-desk.ts";
import { Links } from "./uplinks/links.ts";
import { type Inventory, inventoryOf } from "./inventory.ts";
import { logStatusOf } from "./log-status.ts";
import { Loop } from "./loop.ts";
import type { Notice } from "./notices/notice.ts";
import { noticesOf } from "./notices/notices.ts";
import { outboxWindowsOf } from "./uplinks/outbox-windows.ts";
import { Outputs } from "./outputs.ts";
import { openOwnTopics, type OwnTopics } from "./own-topics/own-topics.ts";
import { OwnWrites } from "./flash/own-writes.ts";
import { MemorySide } from "./memory/memory-side.ts";
import { processFigures } from "./process-figures.ts";
import { Queries } from "./query/queries.ts";
import { askOfAlerts } from "./raw/alert-asks.ts";
import { openRawSide, type RawSide } from "./raw/raw-side.ts";
import { QuarantinedSinceStart } from "./quarantined.ts";
import { type Recovery, recover } from "./recovery.ts";
import { ReserveWatch } from "./flash/reserve-watch.ts";
import { Streams } from "./stream/streams.ts";
import type { AgentState, AgentView, DeadLettersAsked, DeadLetterView, Status } from "./status.ts";
import { startWear, type WearWatch } from "./flash/wear-watch.ts";
import type { UplinkParts } from "./uplinks/uplink-parts.ts";
import { openSavepoints, openUplinks } from "./uplinks/uplinks.ts";
import { version } from "./version.ts";

type Parts = {
  readonly options: AgentOptions;
  readonly kv: Kv;
  readonly recovery: Recovery;
  readonly intake: Intake;
  readonly outputs: Outputs;
  readonly ownTopics: OwnTopics;
  readonly loop: Loop;
  readonly drain: Drain;
  readonly links: Links;
  readonly raw: RawSide;
  readonly rollup: OutboxRollup;
  readonly feeder: Feeder;
  readonly posts: Posts;
  readonly clockTrust: ClockTrust;
  readonly flash: FlashCap;
  readonly wear: WearWatch;
  readonly reserveWatch: ReserveWatch | undefined;
  readonly memory: MemorySide;
  readonly savepoints: SavepointPublisher | undefined;
  readonly streams: Streams;
};

/** Rejects with a Fault of any of its parts; what it opened is closed again. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const { config, doors, logDirectory, tablesDirectory } = options;
  const { clock, random, disk } = doors;
  const kv = await openCheckedKv(doors.kv);
  const outputs = new Outputs(config.agent, readHeldBack(kv), askOfAlerts(config));
  const clockNow = (): number | undefined => {
    const now = clock.now();
    return clockTrust.isTrusted(now) ? now : undefined;
  };
  const flash = new FlashCap({ capBytes: config.store.writesPerDay, commit: config.commit });
  const own = new OwnWrites(clock.now());
  const patient = patientDisk(disk, clock);
  const memory = new MemorySide(options.memory);
  const counted = flash.isSet ? own.counted(patient) : patient;
  const recovery = await recover({
    disk: counted,
    kv: flash.isSet ? own.countedKv(kv) : kv,
    isSparing: () => flash.isSparing,
    random,
    clock,
    logDirectory,
    tablesDirectory,
    policy: compactionPolicyOf(config),
    classes: config.store.classes,
    clockNow,
    memoryRowsMax: options.memoryRowsMax ?? memory.plan?.tableRowsMax,
    logBytesMax: config.logBytesMax,
    bytesLeftFree: () => options.reserve?.bytesMissing ?? 0,
    outboxBytesMax: budgetSharesOf(config).outboxBytes,
    configInForce: JSON.stringify(dataflowSpecOf(config)),
    segmentBytes: options.segmentBytes ?? limits.segmentBytes,
    outputs,
  });
  await using opened = new AsyncDisposableStack();
  opened.use(recovery.log);
  opened.defer(() => recovery.tables.close());
  const { catalog, dataflow, store, tables } = recovery;
  const clockTrust = new ClockTrust(recovery.clock);
  const seriesMax = memory.seriesMaxOf(config);
  const intake = createIntake({
    catalog,
    sources: config.sources,
    clock,
    ownTopics: ownFilters({ ...config, ...config.ownTopics }),
    heardTopics: heardTopics(config.ownTopics),
    isShort: memory.isShort,
    limits: { seriesMax, devicesMax: config.devicesMax, topicsMax: topicsMaxOf(config) },
  });
  const spec = dataflowSpecOf(config);
  const { generations: _, capacity: __, ...specInForce } = dataflow.spec;
  if (!isDeepStrictEqual(spec, specInForce)) {
    intake.define({ kind: "config", json: JSON.stringify(spec) });
  }
  const policies = config.links;
  const links = new Links({ policies, clock, store, trustedNow: clockNow });
  const viaOf: UplinkParts["viaOf"] = (names, how) => links.via(names, how);
  const forUplinks = { config, doors, store, viaOf, status: () => agent.status() };
  const uplinks = await openUplinks(forUplinks);
  const drain = openDrain({ store, clock, random, uplinks, trustedNow: clockNow });
  const directory = options.savepointsDirectory;
  const savepoints = await openSavepoints({ ...forUplinks, disk: counted, kv, drain, directory });
  const pipelines = config.pipelines.map(({ name }) => name);
  const forStreams = { agent: config.agent, pipelines, store, clock, random };
  const streams = new Streams({ ...forStreams, trustedNow: clockNow });
  const raw = await openRawSide({
    ...forUplinks,
    kv,
    catalog,
    tables,
    drain,
    onStored: () => streams.committed(),
    trustedNow: clockNow,
  });
  const rollup = openOutboxRollup({
    store,
    clock,
    tiers: options.outboxTiers ?? config.store.tiers,
    mayDrop: config.store.whenOutboxFull === "drop",
    runBytesMax: memory.plan?.outboxRunBytesMax,
    windows: () => outboxWindowsOf(dataflow.spec),
  });
  opened.defer(() => rollup.close());
  const ownTopics = openOwnTopics({ config, clock, kv, store, status: () => agent.status() });
  const loop = new Loop(
    { ...recovery, clock, intake, outputs, clockTrust },
    {
      get commit() {
        return flash.commit;
      },
      onCommitted: (outbox) => {
        drain.wake();
        ownTopics.committed(outbox);
        streams.committed();
      },
      onAsks: (asks) => raw.answers.prepare(asks),
      onCheckpoint: () => savepoints?.atCheckpoint(),
      onFailed: options.onFailed,
      pendingBytesMax: memory.plan?.pendingOutputBytesMax,
    },
  );
  const feeder = new Feeder(intake);
  loop.register(feeder);
  // Before the front, which fills what there is: one body is less than a share of it.
  const posts = new Posts({ intake, clock, trustedNow: clockNow, posted: recovery.posted });
  loop.register(posts);
  const wear = startWear({ clock, store, clockNow, doors, flash, own });
  const { reserve } = options;
  const isDiskFull = (): boolean =>
    loop.counters.troubles.some(({ name }) => name === "disk_full") ||
    recovery.tables.status.trouble?.code === "DISK_FULL";
  const reserveWatch = reserve && new ReserveWatch({ clock, reserve, isDiskFull });
  reserveWatch?.start();
  memory.start(clock, tables);
  const parts: Parts = {
    options,
    kv,
    recovery,
    intake,
    outputs,
    ownTopics,
    loop,
    drain,
    links,
    raw,
    rollup,
    feeder,
    posts,
    clockTrust,
    flash,
    wear,
    reserveWatch,
    memory,
    savepoints,
    streams,
  };
  const agent: Agent = new Agent(parts);
  opened.move();
  raw.start();
  try {
    if (options.listen) await agent.listen();
  } catch (error) {
    await agent.close();
    throw error;
  }
  return agent;
}

export class Agent implements AgentView {
  readonly #parts: Parts;
  readonly #startedAt: number;
  readonly #inventory: Inventory;
  #access: Access | undefined;
  #front: Front | undefined;
  #subscribers: Subscribers | undefined;
  #http: HttpServer | undefined;
  readonly #queries: Queries;
  readonly #quarantined: QuarantinedSinceStart;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { options, recovery } = parts;
    const { clock } = options.doors;
    this.#startedAt = clock.now();
    this.#inventory = inventoryOf(options.config);
    this.#quarantined = new QuarantinedSinceStart(recovery.dataflow.ledger);
    this.#queries = new Queries({
      catalog: recovery.catalog,
      clock,
      snapshot: () => recovery.tables.snapshot(),
      tiers: options.config.store.tiers,
      ...parts.memory.forQueries,
    });
  }

  async listen(): Promise<void> {
    const { options, intake, loop, ownTopics, memory, drain, links } = this.#parts;
    const { config, doors } = options;
    const { quotas } = config.mqtt;
    const access = await openAccess({
      config: config.mqtt,
      clock: doors.clock,
      hashing: doors.hashing,
      random: doors.random,
      usersFile: doors.usersFile,
      limits: { ...memory.plan?.access, ...quotas?.access },
    });
    this.#access = access;
    if (config.http !== undefined) {
      const { tokens = [], allowedHosts = [], ...at } = config.http;
      const note: GuardOptions["note"] = (event) => access.events.note(event);
      this.#http = await openHttp({
        ...at,
        tokens,
        allowedHosts,
        view: this,
        queries: this.#queries,
        streams: this.#parts.streams,
        raw: this.#parts.raw.answers,
        link: new LinkDesk({ drain, links }),
        posting: { posts: this.#parts.posts, bodies: new Bodies(memory.plan) },
        clock: doors.clock,
        note,
      });
    }
    this.#front = await openFront({
      net: doors.net,
      clock: doors.clock,
      random: doors.random,
      receiver: intake,
      listeners: listenersOf(config.mqtt),
      access,
      limits: { topicsMax: topicsMaxOf(config), ...memory.plan?.front, ...quotas?.front },
    });
    loop.register(this.#front);
    const { net, clock, random } = doors;
    const { brokers, sources } = config;
    const known = new Set(
      this.ledger().sources.flatMap(({ source, messages }) =>
        messages.received > 0 ? [source] : [],
      ),
    );
    this.#subscribers = openSubscribers({ net, clock, random, brokers, sources, intake, known });
    for (const subscriber of this.#subscribers.gates) loop.register(subscriber);
    ownTopics.open(this.#front);
  }

  /** The port MQTT clients connect to; 0 where it does not listen. */
  get mqttPort(): number {
    return this.#front?.port ?? 0;
  }
  get httpPort(): number | undefined {
    return this.#http?.port;
  }
  /** Brings messages from a file. */
  get feeder(): Feeder {
    return this.#parts.feeder;
  }

  /** Takes bodies of messages, as over HTTP. */
  get posts(): Posts {
    return this.#parts.posts;
  }

  /** What is kept of readings, what their series are called, and who asks for them. */
  get stored(): Pick<Recovery, "tables" | "catalog"> & { readonly raw: RawSide["answers"] } {
    const { tables, catalog } = this.#parts.recovery;
    return { tables, catalog, raw: this.#parts.raw.answers };
  }

  ledger(): LedgerView {
    return this.#parts.recovery.dataflow.ledger.view();
  }

  recentAlerts(): readonly Alert[] {
    return this.#parts.outputs.recentAlerts;
  }

  deadLetters(asked: DeadLettersAsked): readonly DeadLetterView[] {
    const { kv, recovery } = this.#parts;
    return deadLetterViews(kv, (id) => recovery.catalog.source(sourceId(id)), asked);
  }

  /** Everything received is appended, applied, committed and drained; then all is let go. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { options, recovery, loop, drain, links, raw, rollup, ownTopics } = this.#parts;
    const { wear, reserveWatch, savepoints, memory, streams, posts } = this.#parts;
    const { clock } = options.doors;
    // Whatever fails on the way, what is below it is closed too.
    await using rest = new AsyncDisposableStack();
    rest.defer(() => this.#access?.close());
    rest.defer(() => options.onClosed());
    rest.defer(() => recovery.log.close());
    rest.defer(() => recovery.store.settle());
    rest.defer(() => wear.close());
    rest.defer(() => memory.close());
    rest.defer(() => reserveWatch?.close());
    rest.defer(() => rollup.close());
    rest.defer(() => recovery.tables.close());
    rest.defer(() => this.#queries.close());
    rest.defer(() => streams.close());
    rest.defer(async () => this.#http?.close());
    rest.defer(() => links.close());
    rest.defer(() => drain.close());
    rest.defer(() => savepoints?.close());
    rest.defer(() => drained(drain, clock));
    rest.defer(() => raw.close());
    rest.defer(async () => this.#front?.close());
    rest.defer(async () => this.#subscribers?.close());
    this.#subscribers?.stopAccepting();
    rest.defer(() => ownTopics.close());
    posts.stop();
    await this.#front?.stopAccepting();
    rest.defer(clock.after(limits.drainWaitMs, () => recovery.store.stopWaiting()));
    savepoints?.stop(); // a commit may wait for its file
    await loop.stop();
  }

  /** Who tried what on the embedded broker, after the event of this number. */
  securityEvents(after: number): readonly SecurityEvent[] {
    return this.#access?.events.after(after) ?? [];
  }

  status(): Status {
    const status = this.#statusNow();
    return { ...status, notices: this.#noticesOf(status).map(({ message }) => message) };
  }

  /** The notices of the status, each with its code. */
  notices(): readonly Notice[] {
    return this.#noticesOf(this.#statusNow());
  }

  #noticesOf(status: Omit<Status, "notices">): readonly Notice[] {
    const { options, intake } = this.#parts;
    return noticesOf(status, {
      config: options.config,
      unwantedTopic: intake.unwantedTopic,
      quarantined: this.#quarantined.status,
    });
  }

  #statusNow(): Omit<Status, "notices"> {
    const { options, recovery, intake, outputs, ownTopics, loop, drain, rollup } = this.#parts;
    const { config, doors } = options;
    const { store, catalog } = recovery;
    const { counters } = loop;
    const { resends, applied, checkpointed, commits, checkpoints } = counters;
    const { outbox, outboxFull, deadLetters } = store.status;
    const uplinks = drain.status;
    const tables = recovery.tables.status;
    const degraded = degradedReasons({ loop: counters, tables, uplinks, outboxFull });
    const now = doors.clock.now();
    return {
      agent: config.agent,
      version,
      inventory: this.#inventory,
      state: this.#state(degraded),
      reasons: degraded.map(({ message }) => message),
      degraded,
      startedAt: this.#startedAt,
      clock: { now, trusted: this.#parts.clockTrust.isTrusted(now) },
      dataDirectory: config.dataDirectory,
      mqtt: {
        host: this.#front?.listeners[0]?.host ?? config.mqtt.host,
        port: this.mqttPort,
        listeners: this.#front?.listeners ?? [],
        counters: this.#front?.status,
        access: this.#access?.status ?? noAccessStatus,
      },
      http: this.#http === undefined ? undefined : httpStatus(this.#http),
      certificates: [...doors.net.certificates(), ...(this.#http?.certificates() ?? [])],
      brokers: this.#subscribers?.status ?? [],
      intake: intake.counters,
      cardinality: catalog.counts,
      log: logStatusOf(recovery, loop),
      tables,
      wear: this.#parts.wear.status,
      reserve: options.reserve?.status,
      flash: this.#parts.flash.status,
      resends,
      apply: { applied, checkpointed, commits, checkpoints },
      outputs: { ...outputs.counters, pendingBytes: outputs.bytes },
      ownTopics: ownTopics.counters,
      queries: this.#queries.counters,
      streams: this.#parts.streams.counters,
      posts: this.#parts.posts.counters,
      raw: this.#parts.raw.counters,
      outbox,
      ...rollup.status,
      uplinks,
      links: this.#parts.links.status,
      savepoints: this.#parts.savepoints?.status,
      deadLetters,
      replayed: recovery.replayed,
      remote: options.remote?.(),
      ...processFigures(this.#parts.memory.status),
    };
  }

  #state(reasons: readonly DegradedReason[]): AgentState {
    if (this.#parts.loop.failed) return "failed";
    if (this.#closing !== undefined) return "stopping";
    return reasons.length > 0 ? "degraded" : "running";
  }
}
