/**
 * What became of configurations from afar: accepted, proven, rolled back, refused. On disk, so that a
 * restart does not forget who tried what; bounded, decisions and refusals each by their own share.
 *
 *   audit.ndjson   {"number":1,"at":ms,"kind":"refused","code":"bad_signature","from":"mqtt","digest":"..","reason":".."}
 *
 * Whoever may write to the topic decides how many are refused: alike ones are one entry, and only so many
 * are written in a minute. Beyond, they are counted.
 */

import { dirname } from "node:path";
import type { Clock, Disk } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { makeFolder } from "./remote-state.ts";
import { ifThere, readWhole, replaceWhole } from "../../store/care/whole-files.ts";

export type RemoteEvent = {
  /**
   * `accepted`: it is tried from now on; `proven`: it ran well for as long as `remote.watch` says;
   * `rolled_back`: it did not, and what was before is in force again; `unusable`: what was proven
   * before cannot be used any more, and the local file stands alone.
   */
  readonly kind: "accepted" | "proven" | "rolled_back" | "refused" | "unusable";
  /** Of what was refused or rolled back: why, in a word. */
  readonly code?: string;
  readonly reason?: string;
  /** Where it came from: "mqtt", "kafka". */
  readonly from?: string;
  /** Once the signature was right. */
  readonly version?: number;
  readonly key?: string;
  readonly digest: string;
};

export type AuditEntry = RemoteEvent & {
  /** Rises by one. */
  readonly number: number;
  /** By the gateway's clock, milliseconds since 1970. */
  readonly at: number;
};

export class AuditLog {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #path: string;
  #entries: readonly AuditEntry[] = [];
  #unwritten = 0;
  #trouble: string | undefined;
  #minute: number[] = [];

  constructor({
    disk,
    clock,
    path,
  }: { readonly disk: Disk; readonly clock: Clock; readonly path: string }) {
    this.#disk = disk;
    this.#clock = clock;
    this.#path = path;
  }

  /** Reads what is there. Rejects as the disk does. */
  async open(): Promise<void> {
    this.#entries = await readAudit(this.#disk, this.#path);
  }

  /** Oldest first. */
  get entries(): readonly AuditEntry[] {
    return this.#entries;
  }
  newest(kind: RemoteEvent["kind"]): AuditEntry | undefined {
    return this.#entries.findLast((entry) => entry.kind === kind);
  }
  /** Whether what was accepted was rolled back after that. */
  isBack({ number, digest }: AuditEntry): boolean {
    const back = this.newest("rolled_back");
    return back?.digest === digest && back.number > number;
  }
  /** Refusals since the start that have no entry of their own. */
  get unwritten(): number {
    return this.#unwritten;
  }
  /** Why the newest entries are in memory only; undefined where they are on the disk. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * True where it is a new entry. A disk that fails keeps nobody from deciding: entries are then in memory,
   * and written with the next.
   */
  async note(event: RemoteEvent): Promise<boolean> {
    if (event.kind === "refused" && !this.#mayRefuse(event)) {
      this.#unwritten += 1;
      return false;
    }
    const number = (this.#entries.at(-1)?.number ?? 0) + 1;
    const cut = event.reason?.slice(0, limits.remoteReasonMax);
    const reason = cut === undefined ? {} : { reason: cut };
    const entry = { number, at: this.#clock.now(), ...event, ...reason };
    this.#entries = bounded([...this.#entries, entry]);
    const text = this.#entries.map((each) => `${JSON.stringify(each)}\n`).join("");
    try {
      await makeFolder(this.#disk, dirname(this.#path));
      await replaceWhole(this.#disk, this.#path, new TextEncoder().encode(text));
      this.#trouble = undefined;
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      this.#trouble = error.message;
    }
    return true;
  }

  #mayRefuse({ digest, code }: RemoteEvent): boolean {
    const isKnown = this.#entries.some(
      (entry) => entry.kind === "refused" && entry.digest === digest && entry.code === code,
    );
    if (isKnown) return false;
    const now = this.#clock.monotonic();
    this.#minute = this.#minute.filter((at) => now - at < 60_000);
    if (this.#minute.length >= limits.remoteAuditPerMinute) return false;
    this.#minute.push(now);
    return true;
  }
}

/** What is kept however old it is: it says what is in force, should the state be lost. */
const lasting: readonly RemoteEvent["kind"][] = ["accepted", "proven", "rolled_back"];

/**
 * The newest of each share: whoever may write to a topic decides how many refusals there are, and pushes no
 * decision out.
 */
function bounded(entries: readonly AuditEntry[]): readonly AuditEntry[] {
  const refused = entries.filter(({ kind }) => kind === "refused");
  const decided = entries.filter(({ kind }) => kind !== "refused");
  const last = lasting.map((of) => decided.findLast(({ kind }) => kind === of));
  const passing = decided.filter((entry) => !last.includes(entry));
  const gone = new Set([
    ...refused.slice(0, Math.max(0, refused.length - limits.remoteAuditRefusedMax)),
    ...passing.slice(0, Math.max(0, decided.length - limits.remoteAuditDecidedMax)),
  ]);
  return entries.filter((entry) => !gone.has(entry));
}

/** Oldest first; lines that are not ours are left out. Rejects as the disk does. */
export async function readAudit(
  disk: Pick<Disk, "open">,
  path: string,
): Promise<readonly AuditEntry[]> {
  const bytes = await ifThere(() => readWhole(disk, path));
  return new TextDecoder().decode(bytes).split("\n").flatMap(entryOf);
}

function entryOf(line: string): readonly AuditEntry[] {
  try {
    const parsed: unknown = JSON.parse(line);
    return isEntry(parsed) ? [parsed] : [];
  } catch {
    return [];
  }
}

function isEntry(parsed: unknown): parsed is AuditEntry {
  return (
    typeof parsed === "object" &&
    parsed !== null &&
    "number" in parsed &&
    Number.isSafeInteger(parsed.number) &&
    "at" in parsed &&
    typeof parsed.at === "number" &&
    "kind" in parsed &&
    typeof parsed.kind === "string" &&
    "digest" in parsed &&
    typeof parsed.digest === "string"
  );
}
