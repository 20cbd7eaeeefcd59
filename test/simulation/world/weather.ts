/** The faults that are on, as the disk, the state store and the network feel them. */

import type { Random } from "../../../src/core/doors.ts";
import type { DiskCall } from "../../support/fault-disk.ts";
import { below } from "../../support/seeded-random.ts";
import type { DiskFault, MqttFault, StoreFault } from "../faults.ts";
import type { CommitFate } from "./doors.ts";
import type { Excuse } from "./gateway.ts";
import { logDirectory } from "./gateway-config.ts";
import type { Timeline } from "./timeline.ts";

/** On for a while. */
export type Spell = Extract<
  DiskFault | StoreFault | MqttFault,
  {
    readonly kind:
      | "disk-slow"
      | "disk-full"
      | "disk-error"
      | "store-slow"
      | "store-full"
      | "mqtt-slow";
  }
>;

const quickSyncMs = 2;
/** Other calls take up to so long. */
const quickCallMs = 1;
/** Slower than this is what an agent may be late for. */
const slowMs = 500;
const quickCommitMs = 1;
const latencyMs = 4;

export class Weather {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #tell: (what: string) => void;
  readonly #on = new Set<Spell>();
  #isStoreBroken = false;
  #diskFailures = 0;
  #unreadable = 0;
  /** A spell is over. */
  onOver: (spell: Spell) => void = () => undefined;

  constructor(options: {
    readonly timeline: Timeline;
    readonly random: Random;
    readonly tell: (what: string) => void;
  }) {
    this.#timeline = options.timeline;
    this.#random = options.random;
    this.#tell = options.tell;
  }

  begin(spell: Spell): void {
    this.#on.add(spell);
    this.#timeline.after(spell.forMs, () => this.#end(spell));
  }

  /** The next commit fails, and with it the store. */
  breakStore(): void {
    this.#isStoreBroken = true;
  }

  /** All is well. */
  clear(): void {
    for (const spell of this.#on) this.#end(spell);
    this.#isStoreBroken = false;
  }

  isOn(kind: Spell["kind"]): boolean {
    return [...this.#on].some((spell) => spell.kind === kind);
  }

  /** What an agent may give up for. */
  get excuse(): Excuse {
    return {
      diskFailures: this.#diskFailures,
      unreadable: this.#unreadable,
      isFull: this.isOn("disk-full") || this.isOn("store-full"),
      isSlow: [...this.#on].some(
        (spell) =>
          spell.kind === "store-full" ||
          spell.kind === "disk-full" ||
          (spell.kind === "disk-slow" && spell.syncMs > slowMs) ||
          (spell.kind === "store-slow" && spell.commitMs > slowMs),
      ),
    };
  }

  // ---- what doors ask ----

  diskFate(call: DiskCall): { readonly code?: string; readonly delayMs: number } {
    let delayMs = call.name === "sync" ? quickSyncMs : below(this.#random, quickCallMs + 1);
    for (const spell of this.#on) {
      if (spell.kind === "disk-slow" && call.name === "sync") delayMs += spell.syncMs;
      if (spell.kind !== "disk-error" || spell.call !== call.name) continue;
      if (call.path.startsWith(spell.place) && below(this.#random, spell.oneIn) === 0) {
        this.#tell(`${call.name} ${call.path} fails`);
        this.#diskFailures += 1;
        if (isReading(call) && spell.place === logDirectory) this.#unreadable += 1;
        return { code: "EIO", delayMs };
      }
    }
    return { delayMs };
  }

  commitFate(): { readonly fate: CommitFate; readonly commitMs: number } {
    if (this.#isStoreBroken) {
      this.#isStoreBroken = false;
      return { fate: "broken", commitMs: 0 };
    }
    if (this.isOn("store-full")) return { fate: "full", commitMs: 0 };
    const slow = [...this.#on].find((spell) => spell.kind === "store-slow");
    return { fate: "well", commitMs: slow?.commitMs ?? quickCommitMs };
  }

  latencyMs(): number {
    const slow = [...this.#on].find((spell) => spell.kind === "mqtt-slow");
    return latencyMs + (slow?.delayMs ?? 0);
  }

  #end(spell: Spell): void {
    if (this.#on.delete(spell)) this.onOver(spell);
  }
}

function isReading({ name }: DiskCall): boolean {
  return name === "read" || name === "open";
}
