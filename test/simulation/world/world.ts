/**
 * A simulated world: devices, a network, a gateway, a link and a cluster, on one timeline and from
 * one seed; faults that strike it; and what its devices and its agent were seen to do.
 */

import type { Agent } from "../../../src/agent/agent.ts";
import { unreachable } from "../../../src/core/assert.ts";
import { limits } from "../../../src/core/limits.ts";
import { seededRandom } from "../../support/seeded-random.ts";
import type { FaultKind, PlannedFault } from "../faults.ts";
import type { Reading, Sample } from "../oracle/evidence.ts";
import type { Plan } from "../plan.ts";
import type { Trace } from "../trace.ts";
import { boundedIn, unrestOf } from "./agent-words.ts";
import { Asker } from "./asker.ts";
import { Device, stateTopic } from "./device.ts";
import type { Passing } from "./doors.ts";
import { Gateway } from "./gateway.ts";
import { gatewayConfig, outboxTiers, siteHost, topics } from "./gateway-config.ts";
import { Link } from "./link.ts";
import { SiteBroker, type SiteMessage } from "./site-broker.ts";
import { Network } from "./network.ts";
import { storedCounts } from "./stored.ts";
import type { Timeline } from "./timeline.ts";
import { Weather } from "./weather.ts";

/** When a world begins, milliseconds since 1970. */
const epochMs = 1_764_000_000_000;
const sampleMs = 1_000;
/** Open tables: kept for readers, read by a merge, written. */
const tableFilesMax = limits.tablesOpenMax + limits.mergeTablesMax + 2;
/** So many refusals to be read an agent gets over, as docs/delivery.md says: ten seconds of them. */
const patience = 39;

export class World {
  readonly gateway: Gateway;
  readonly link: Link;
  /** How often each kind of fault struck. */
  readonly struck: Map<FaultKind, number> = new Map();
  // What was seen.
  readonly readings: Reading[] = [];
  readonly broken = { sent: 0, acknowledged: 0 };
  readonly protocolFaults: string[] = [];
  readonly failures: string[] = [];
  readonly changedBuffers: string[] = [];
  /** What went over links with a policy. */
  readonly passings: (Passing & { readonly atMs: number })[] = [];
  readonly samples: Sample[] = [];
  /** Starts at which the medium refused too often, and damaged places that were named. */
  readonly medium = { lost: 0, named: 0 };
  wasClockWrong = false;
  /** Somebody asks for all that is stored: so many tables are open as overlap in time, as for raw readings. */
  isAsked = false;
  readonly #plan: Plan;
  readonly #timeline: Timeline;
  readonly #trace: Trace;
  readonly #weather: Weather;
  readonly #network: Network;
  readonly #devices: readonly Device[];
  readonly #site: SiteBroker;
  readonly askers: readonly Asker[];
  /** The log holds a frame of a time at which the gateway's clock was right. */
  #wasClockSeen = false;
  #restedSamples = 0;

  constructor(plan: Plan, { timeline, trace }: { timeline: Timeline; trace: Trace }) {
    this.#plan = plan;
    this.#timeline = timeline;
    this.#trace = trace;
    const random = seededRandom(plan.seed ^ 0x5eed);
    const fork = (): ReturnType<typeof seededRandom> => seededRandom(random.uint32());
    const trueTime = (): number => epochMs + timeline.now;
    this.#weather = new Weather({
      timeline,
      random: fork(),
      tell: (what) => trace.tell("disk", what),
    });
    this.#weather.onOver = () => this.#makeRoom();
    this.#network = new Network({
      timeline,
      random: fork(),
      latencyMs: () => this.#weather.latencyMs(),
    });
    this.#network.onChanged = (what) => this.changedBuffers.push(what);
    this.link = new Link({ timeline, random: fork(), trueTime });
    this.link.onRequest = (call, fate) =>
      trace.detail("kafka", () => `${call.request} of session ${call.session}: ${fate}`);
    this.gateway = new Gateway({
      config: gatewayConfig(plan),
      segmentBytes: plan.gateway.segmentBytes,
      memoryRowsMax: plan.gateway.memoryRowsMax,
      outboxTiers: plan.outbox.merges ? outboxTiers : [],
      timeline,
      random: fork(),
      network: this.#network,
      trueTime,
      dial: (life, lane) => this.link.dial(life, lane),
      onPassing: (passing) => this.passings.push({ ...passing, atMs: timeline.now }),
      diskFate: (call) => {
        trace.detail("disk", () => `${call.name} ${call.path}`);
        return this.#weather.diskFate(call);
      },
      commitFate: () => {
        trace.detail("store", () => "commit");
        return this.#weather.commitFate();
      },
      excuse: () => this.#weather.excuse,
      tell: (what) => trace.tell("gateway", what),
      onFailure: (what) => this.fail(what),
      onUp: (agent, unreadable) => this.#sawUp(agent, unreadable),
    });
    this.#site = new SiteBroker({
      plan: plan.site,
      timeline,
      random: fork(),
      onBroken: (event) => {
        this.broken[event] += 1;
      },
      onProtocolFault: (what) => this.protocolFaults.push(`at the site: ${what}`),
      tell: (what) => trace.tell("site", what),
    });
    this.#network.dialled = (connection) =>
      this.#site.isUp ? this.#site.accept(connection) : undefined;
    this.#devices = plan.devices.map(
      (device) =>
        new Device({
          plan: device,
          timeline,
          random: fork(),
          trueTime,
          connect: (end) => this.#network.connect(device.name, end),
          publishAtSite: (message) => this.#publishAtSite(message),
          onReading: (reading) => this.readings.push(reading),
          onBroken: (event) => {
            this.broken[event] += 1;
          },
          onProtocolFault: (what) => this.protocolFaults.push(`${device.name}: ${what}`),
        }),
    );
    this.askers = (plan.asks ?? []).map(
      (ask) =>
        new Asker({
          plan: ask,
          device: ask.device === undefined ? undefined : this.#deviceName(ask.device),
          timeline,
          epochMs,
          agent: () => this.gateway.agent,
          tell: (what) => trace.tell("asker", what),
        }),
    );
  }

  /** Plans what the plan says. */
  begin(): void {
    const timeline = this.#timeline;
    for (const asker of this.askers) asker.begin();
    for (const fault of this.#plan.faults) timeline.after(fault.atMs, () => this.#strike(fault));
    timeline.after(0, () => this.gateway.start());
    timeline.after(sampleMs, () => this.#sample());
  }

  /** A promise does not hold. */
  fail(what: string): void {
    this.#trace.tell("gateway", `FAILS: ${what}`);
    this.failures.push(what);
  }

  // ---- coming to rest ----

  /** All is well, and devices measure no more. */
  calm(): void {
    this.#trace.tell("world", "all is well from now on");
    this.#weather.clear();
    this.link.on.clear();
    this.#network.silent.clear();
    this.#site.start();
    this.gateway.setClock();
    this.gateway.disarm();
    for (const device of this.#devices) device.stop();
  }

  /** Nothing went on at the last two samples: between them a commit under way would have ended. */
  get isAtRest(): boolean {
    return this.#restedSamples >= 2;
  }

  /** It is looked at anew. */
  disturb(): void {
    this.#restedSamples = 0;
  }

  /** What still goes on; empty at rest. */
  get unrest(): string {
    const { agent } = this.gateway;
    if (agent === undefined) return "the agent is not up";
    const owed = this.#devices.filter((device) => !device.isDone);
    if (owed.length > 0) return `${owed.length} devices wait for acknowledgements`;
    const deaf = this.#plan.devices.find(
      ({ via, name }) => via === "site" && !this.#site.isSubscribed(stateTopic(name)),
    );
    if (deaf !== undefined) return `the gateway has no subscription for ${deaf.name} at the site`;
    if (this.#site.owedCount > 0) return `the site's broker owes ${this.#site.owedCount} messages`;
    const asking = this.askers.find((asker) => !asker.isDone);
    if (asking !== undefined) return `${asking.use.id} is not stored, or not given up`;
    return unrestOf(agent);
  }

  #sample(): void {
    this.#timeline.after(sampleMs, () => this.#sample());
    this.#restedSamples = this.unrest === "" ? this.#restedSamples + 1 : 0;
    const { agent } = this.gateway;
    if (agent === undefined) return;
    const { log, clock } = agent.status();
    this.#wasClockSeen ||= log.framesAppended > 0 && clock.trusted;
    const { logBytesMax, segmentBytes } = this.#plan.gateway;
    const filesMax = logBytesMax / segmentBytes + 2;
    this.samples.push({
      atMs: this.#timeline.now,
      stored: storedCounts(agent),
      bounded: {
        ...boundedIn(agent, { logBytesMax, outboxBytesMax: this.gateway.outboxBytesMax }),
        ...(this.isAsked || agent.stored.raw.counters.open > 0
          ? {}
          : { "open files": [this.gateway.disk.openFiles, filesMax + 2 + tableFilesMax] }),
      },
    });
  }

  #sawUp(agent: Agent, unreadable: number): void {
    if (unreadable > patience) this.medium.lost += 1;
    this.medium.named += agent.status().log.damage.places.length;
  }

  #publishAtSite(message: SiteMessage): boolean {
    if (!this.#site.isUp) return false;
    this.#site.publish(message);
    return true;
  }

  // ---- faults ----

  #strike(fault: PlannedFault): void {
    if (this.#timeline.now > this.#plan.durationMs) return;
    // A clock that was never right cannot be told from a right one (docs/delivery.md).
    if (fault.kind === "clock-step" && fault.byMs < 0 && !this.#wasClockSeen) return;
    const { kind, atMs: _, ...facts } = fault;
    this.#trace.tell("fault", `${kind} ${JSON.stringify(facts)}`);
    if (this.#take(fault)) this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
  }

  /** Whether it had an effect. */
  #take(fault: PlannedFault): boolean {
    const later = (run: () => void): void => {
      if ("forMs" in fault) this.#timeline.after(fault.forMs, run);
    };
    switch (fault.kind) {
      case "power-cut":
      case "kill":
        if (!this.gateway.arm(fault.kind, fault)) return false;
        this.wasClockWrong ||= fault.clock === "unset";
        return true;
      case "restart":
        if (!this.gateway.restart(fault)) return false;
        this.wasClockWrong ||= fault.clock === "unset";
        return true;
      case "clock-step":
        this.wasClockWrong = true;
        this.gateway.stepClock(fault.byMs);
        later(() => this.gateway.setClock());
        return true;
      case "store-broken":
        this.#weather.breakStore();
        return true;
      case "mqtt-cut":
        return this.#network.cut(this.#deviceName(fault.device), fault.bytes);
      case "mqtt-silent": {
        const name = this.#deviceName(fault.device);
        this.#network.silent.add(name);
        later(() => this.#network.silent.delete(name));
        return true;
      }
      case "site-down":
        this.#site.stop(fault);
        later(() => this.#site.start());
        return true;
      case "site-cut":
        return this.#network.cut(siteHost, fault.bytes);
      case "site-silent":
        this.#network.silent.add(siteHost);
        later(() => this.#network.silent.delete(siteHost));
        return true;
      case "cluster-forgets":
        this.link.age(fault.days);
        return true;
      case "cluster-compacts":
        return this.link.compact(topics.cursor);
      case "cluster-stuck":
        void this.link.leaveOpen([topics.summaries, topics.cursor]);
        return true;
      case "link-down":
      case "link-flaky":
      case "cluster-refuses":
        this.link.on.add(fault);
        later(() => this.link.on.delete(fault));
        return true;
      case "disk-full":
        this.gateway.disk.bytesMax = this.gateway.diskBytes + fault.freeBytes;
        this.#weather.begin(fault);
        return true;
      case "disk-slow":
      case "disk-error":
      case "store-slow":
      case "store-full":
      case "mqtt-slow":
        this.#weather.begin(fault);
        return true;
      default:
        return unreachable(fault);
    }
  }

  #makeRoom(): void {
    if (!this.#weather.isOn("disk-full")) this.gateway.disk.bytesMax = Number.POSITIVE_INFINITY;
  }

  /** Shrunk plans have fewer devices than their faults know. */
  #deviceName(index: number): string {
    return this.#plan.devices[index % Math.max(1, this.#plan.devices.length)]?.name ?? "";
  }
}
