/**
 * Configuration from afar: judges what comes, has it tried, watches it, and goes back by itself.
 *
 *   offered ─▶ signed? ours? newer? valid? ──no──▶ refused, audited
 *                 │ yes: stored as a trial
 *                 ▼
 *   the agent is closed and started with it ──cannot start, fails──▶ rolled back
 *                 │ runs, watched for `remote.watch`
 *                 ├── worse off than before ──▶ rolled back
 *                 ▼
 *   proven: the good one from now on
 *
 * A trial is counted before it is started: a process that ends on the way finds the count at its next
 * start, and after `remote.tries` of them the good one is in force again. One that is rolled back does not
 * come back under its version.
 *
 * Decisions are made one after another, in the order in which they were asked for.
 */

import { join } from "node:path";
import { assert } from "../../core/assert.ts";
import type { Clock, Disk } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { rfc3339 } from "../../sync/kafka/message/rfc3339.ts";
import type { Config } from "../config/config.ts";
import type { Overlay } from "../config/overlay.ts";
import type { ParsedConfig } from "../config/parse.ts";
import type { RemoteConfig } from "../config/remote-config.ts";
import { diskTrouble } from "../degraded.ts";
import type { Status } from "../status.ts";
import { AuditLog, type RemoteEvent } from "./audit-log.ts";
import { isFor, openDocument, type RemoteDocument } from "./document.ts";
import { blamedFor, troublesOf, untriedIn, withoutProof } from "./health.ts";
import type { Offer, RefusalCode, RemoteStatus } from "./remote-status.ts";
import {
  makeFolder,
  noState,
  readRemoteState,
  type RemoteState,
  type Trial,
  writeRemoteState,
} from "./remote-state.ts";
import { type Endpoint, Probe } from "./probe.ts";
import { Watch } from "./watch.ts";

export type RemoteOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  /** In the data directory. */
  readonly directory: string;
  /** The local file alone, which has a `remote` section. */
  readonly local: Config;
  /** The local file with sections laid over it. */
  readonly parse: (overlay: Overlay) => Promise<ParsedConfig>;
  /** What is wrong with files that a configuration names. */
  readonly problemsOf: (config: Config) => Promise<readonly string[]>;
  /** What the second names and the first does not, to be asked whether it is there. */
  readonly endpointsOf: (before: Config, now: Config) => readonly Endpoint[];
  /** For the journal. */
  readonly say: (event: string, facts: Readonly<Record<string, unknown>>) => void;
};

type Running = { readonly status: () => Status };

/** Where its files lie in the data directory. */
export function remotePaths(directory: string): { readonly state: string; readonly audit: string } {
  return { state: join(directory, "state.json"), audit: join(directory, "audit.ndjson") };
}

export class RemoteConfiguration {
  readonly #options: RemoteOptions;
  readonly #remote: RemoteConfig;
  readonly #audit: AuditLog;
  #state: RemoteState = noState;
  #trouble: string | undefined;
  /** What `begin` gave: the document, and its configuration. */
  #inForce: RemoteDocument | undefined;
  #config: Config;
  /** Without the trial, to compare with. */
  #before: Config;
  #isTrial = false;
  #running: Running | undefined;
  #offers: Offer[] = [];
  #changed = Promise.withResolvers<void>();
  #work: Promise<void> = Promise.resolve();
  readonly #counts = { accepted: 0, proven: 0, rolledBack: 0, elsewhere: 0 };
  readonly #refused = new Map<string, number>();

  /** Use `openRemote`. */
  constructor(options: RemoteOptions) {
    const { local, disk, clock, directory } = options;
    assert(local.remote !== undefined, "who opens it has a remote section");
    this.#options = options;
    this.#remote = local.remote;
    this.#config = local;
    this.#before = local;
    this.#audit = new AuditLog({ disk, clock, path: remotePaths(directory).audit });
  }

  /**
   * Reads what is known. What is damaged or gone is forgotten, but for what the audit log has too. Faults:
   * FORMAT_TOO_NEW; DISK_FAILED where it cannot be read: it may well be there, and is not to be forgotten.
   */
  async open(): Promise<void> {
    const { disk, directory } = this.#options;
    const { state } = remotePaths(directory);
    try {
      await this.#audit.open();
      this.#state = await readRemoteState(disk, state);
    } catch (error) {
      if (!isEnvironmental(error) || error.code === "FORMAT_TOO_NEW") throw error;
      if (error.code !== "STORE_FAILED") throw unreadable(directory, error);
      await this.#recall(error.message);
    }
    if (this.#state === noState && this.#audit.newest("accepted") !== undefined) {
      await this.#recall(`${state} is gone, and the audit log is not`);
    }
  }

  /** Which version was the highest; the document itself comes again, from its topic. */
  async #recall(reason: string): Promise<void> {
    const accepted = this.#audit.newest("accepted");
    const isBack = accepted !== undefined && this.#audit.isBack(accepted);
    await this.#note({ kind: "unusable", code: "damaged", reason, digest: "" });
    const { version: highest = 0, digest = "" } = accepted ?? {};
    // It counts where it cannot be written, too.
    this.#state = { highest, digest: isBack ? digest : "" };
    await this.#store(this.#state);
  }

  /** Resolves when another configuration is to be used than the last that `begin` gave. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  get isTrial(): boolean {
    return this.#isTrial;
  }

  get status(): RemoteStatus {
    const { highest, trial } = this.#state;
    const inForce = this.#inForce;
    return {
      inForce: inForce && { version: inForce.version, digest: inForce.digest },
      trial: this.#isTrial
        ? { tries: trial?.tries ?? 0, triesMax: this.#remote.triesMax }
        : undefined,
      highest,
      counters: {
        ...this.#counts,
        refused: Object.fromEntries(this.#refused),
        unwritten: this.#audit.unwritten,
      },
      audit: this.#audit.entries.slice(-limits.remoteAuditShownMax),
      trouble: this.#trouble ?? this.#audit.trouble,
    };
  }

  // ---- the life of a configuration ----

  /** What to start with; a trial is counted. Once for each agent that is opened. */
  begin(): Promise<Config> {
    return this.#serial(async () => {
      const good = await this.#usable(this.#state.good, "good");
      this.#before = good?.config ?? this.#options.local;
      const trial = await this.#trialToStart();
      this.#isTrial = trial !== undefined;
      const use = trial ?? good;
      this.#inForce = use?.document;
      this.#config = use?.config ?? this.#options.local;
      this.#changed = Promise.withResolvers();
      return this.#config;
    });
  }

  /** The agent runs and listens. The result stops the watch over it. */
  started(agent: Running): () => void {
    this.#running = agent;
    this.#takeOffers();
    const watch = this.#isTrial ? this.#watch(agent) : undefined;
    return () => {
      watch?.close();
      this.#running = undefined;
    };
  }

  /**
   * The agent could not start, or failed. True where a new configuration is taken back for it: begin again.
   * A disk that fails, or another agent in the data directory, is no configuration's fault.
   */
  failed(error: unknown): Promise<boolean> {
    return this.#serial(async () => {
      if (!this.#isTrial || !(error instanceof Fault)) return false;
      if (diskTrouble(error) !== undefined) return false;
      // Its own data directory no document can name; another's directory for an uplink it can.
      const { dataDirectory } = this.#options.local;
      if (error.code === "DIRECTORY_IN_USE" && error.facts["directory"] === dataDirectory) {
        await this.#uncount();
        return false;
      }
      await this.#rollBack("failed", error.message);
      return true;
    });
  }

  /** The process ends as it was asked to: the start is not counted against a trial. */
  stopped(): Promise<void> {
    return this.#serial(async () => {
      if (this.#isTrial) await this.#uncount();
    });
  }

  async #uncount(): Promise<void> {
    const { trial } = this.#state;
    if (trial === undefined) return;
    await this.#store({ ...this.#state, trial: { ...trial, tries: Math.max(0, trial.tries - 1) } });
  }

  /** Undefined where there is none, or it is over. */
  async #trialToStart(): Promise<Usable | undefined> {
    const { trial } = this.#state;
    if (trial === undefined) return undefined;
    if (trial.tries >= this.#remote.triesMax) {
      const reason = `${trial.tries} starts with it ended before it was proven`;
      await this.#rollBack("crashed", reason);
      return undefined;
    }
    const usable = await this.#usable(trial.text, "trial");
    if (usable === undefined) return undefined;
    const counted = { ...trial, tries: trial.tries + 1 };
    // Not counted, it could end this process for ever.
    return (await this.#store({ ...this.#state, trial: counted })) ? usable : undefined;
  }

  /** A stored document, if it can be used with the local file as it is now. */
  async #usable(text: string | undefined, what: "good" | "trial"): Promise<Usable | undefined> {
    if (text === undefined) return undefined;
    const opened = openDocument(new TextEncoder().encode(text), this.#remote.keys);
    const reason =
      opened.kind === "refused"
        ? opened.reason
        : this.#isFor(opened.document)
          ? undefined
          : "it is for another agent";
    if (opened.kind === "document" && reason === undefined) {
      const parsed = await this.#parsed(opened.document);
      if (parsed.kind === "config") return { document: opened.document, config: parsed.config };
      return await this.#unusable(opened.document.digest, parsed.reason, what);
    }
    const digest = opened.kind === "refused" ? opened.digest : opened.document.digest;
    return await this.#unusable(digest, reason ?? "", what);
  }

  /** It stays: the local file may be put right. A trial is given up. */
  async #unusable(digest: string, reason: string, what: "good" | "trial"): Promise<undefined> {
    if (what === "trial") await this.#rollBack("unusable", reason);
    else if (!this.#isSaid(digest)) {
      await this.#note({ kind: "unusable", digest, reason });
    }
    return undefined;
  }

  /** Nothing but refusals came since it was said. */
  #isSaid(digest: string): boolean {
    const last = this.#audit.entries.findLast(({ kind }) => kind !== "refused");
    return last?.kind === "unusable" && last.digest === digest;
  }

  #watch(agent: Running): Watch {
    const { clock, endpointsOf } = this.#options;
    // What it did not touch is not its fault.
    const blames = blamedFor(this.#before, this.#config);
    const endpoints = endpointsOf(this.#before, this.#config);
    const probe = new Probe(endpoints, { clock, forMs: this.#remote.watchMs });
    return new Watch({
      clock,
      forMs: this.#remote.watchMs,
      troubles: () => {
        const status = agent.status();
        return [...troublesOf(status), ...probe.troubles(untriedIn(status, blames))];
      },
      before: this.#state.trial?.troubles ?? [],
      blames,
      onVerdict: (verdict) =>
        void this.#serial(async () => {
          if (!this.#isTrial) return;
          if (verdict.kind === "well") await this.#proven(agent);
          else await this.#rollBack("unhealthy", verdict.reason);
        }),
    });
  }

  async #proven(agent: Running): Promise<void> {
    const { trial, ...rest } = this.#state;
    const document = this.#inForce;
    if (trial === undefined || document === undefined) return;
    if (!(await this.#store({ ...rest, good: trial.text }))) return;
    this.#isTrial = false;
    this.#counts.proven += 1;
    const untried = untriedIn(agent.status(), blamedFor(this.#before, this.#config));
    await this.#note({ kind: "proven", ...withoutProof(untried), ...named(document) });
  }

  /** What was before is in force at the next `begin`. */
  async #rollBack(code: string, reason: string): Promise<void> {
    const { trial, ...rest } = this.#state;
    if (trial === undefined) return;
    const opened = openDocument(new TextEncoder().encode(trial.text), this.#remote.keys);
    const about = opened.kind === "document" ? named(opened.document) : { digest: opened.digest };
    await this.#store(rest);
    this.#isTrial = false;
    this.#counts.rolledBack += 1;
    await this.#note({ kind: "rolled_back", code, reason, ...about });
    this.#changed.resolve();
  }

  // ---- what comes ----

  /** Judged when an agent runs: what is in trouble now is compared with later. */
  offer(offer: Offer): void {
    this.#offers = [...this.#offers, offer].slice(-limits.remoteWaitingMax);
    this.#takeOffers();
  }

  #takeOffers(): void {
    if (this.#running === undefined) return;
    const offers = this.#offers.splice(0);
    for (const offer of offers) void this.#serial(() => this.#judge(offer));
  }

  /** Of several the newest counts; those that it has overtaken are passed over. */
  async #judge(offer: Offer): Promise<void> {
    const { keys } = this.#remote;
    let newest: RemoteDocument | undefined;
    for (const bytes of offer.documents) {
      const opened = openDocument(bytes, keys);
      if (opened.kind === "refused") {
        const { code, reason, digest } = opened;
        await this.#refuse(offer, { code, reason, digest });
      } else if (!this.#isFor(opened.document)) {
        if (offer.isShared) this.#counts.elsewhere += 1;
        else {
          const reason = `it is for ${opened.document.agent}, and this is ${this.#options.local.agent}`;
          await this.#refuse(offer, { code: "other_agent", reason, ...named(opened.document) });
        }
      } else if (opened.document.version > (newest?.version ?? 0)) newest = opened.document;
    }
    if (newest !== undefined) await this.#judgeOne(newest, offer);
  }

  async #judgeOne(document: RemoteDocument, offer: Offer): Promise<void> {
    const { highest, digest } = this.#state;
    const { version } = document;
    if (document.digest === digest || (offer.isHistory && version < highest)) return;
    const refusal =
      this.#stale(document) ?? this.#expired(document) ?? (await this.#invalid(document));
    if (refusal !== undefined) {
      await this.#refuse(offer, { ...refusal, ...named(document) });
      return;
    }
    const trial: Trial = { text: document.text, tries: 0, troubles: this.#troublesNow() };
    const { good } = this.#state;
    const next = {
      highest: Math.max(version, highest),
      digest: document.digest,
      ...(good === undefined ? {} : { good }),
      trial,
    };
    if (!(await this.#store(next))) return;
    this.#isTrial = false; // what was tried until now is overtaken
    this.#counts.accepted += 1;
    await this.#note({ kind: "accepted", from: offer.from, ...named(document) });
    this.#changed.resolve();
  }

  /** Under a trial: what was wrong before that. */
  #troublesNow(): readonly string[] {
    const { trial } = this.#state;
    if (trial !== undefined) return trial.troubles;
    const running = this.#running;
    if (running === undefined) return [];
    return troublesOf(running.status()).flatMap(({ name, isEarly }) => (isEarly ? [] : [name]));
  }

  #isFor(document: RemoteDocument): boolean {
    return isFor(document, this.#options.local.agent);
  }

  #stale({ version, digest }: RemoteDocument): Refusal | undefined {
    const { highest } = this.#state;
    if (version > highest) return undefined;
    // What was in force when its state was lost.
    const isLost = this.#state.digest === "" && this.#audit.newest("accepted")?.digest === digest;
    if (version === highest && isLost) return undefined;
    if (version === highest) {
      const reason = `another document was version ${version} already: sign it as ${highest + 1}`;
      return { code: "version_taken", reason };
    }
    const reason = `it is version ${version}, and version ${highest} was accepted before`;
    return { code: "replayed", reason };
  }

  /** By the gateway's clock, as soon as that is trusted. */
  #expired({ expires }: RemoteDocument): Refusal | undefined {
    const clock = this.#running?.status().clock;
    if (expires === undefined || clock?.trusted !== true || clock.now <= expires) return undefined;
    const at = Buffer.from(rfc3339(expires) ?? []).toString("ascii");
    const reason = `it expired at ${at}, before this agent read it`;
    return { code: "expired", reason };
  }

  /** As weir check does. */
  async #invalid(document: RemoteDocument): Promise<Refusal | undefined> {
    const parsed = await this.#parsed(document);
    if (parsed.kind === "faulty") return { code: "invalid", reason: parsed.reason };
    const [problem] = await this.#options.problemsOf(parsed.config);
    return problem === undefined ? undefined : { code: "files", reason: problem };
  }

  async #parsed(
    document: RemoteDocument,
  ): Promise<
    | { readonly kind: "config"; readonly config: Config }
    | { readonly kind: "faulty"; readonly reason: string }
  > {
    const parsed = await this.#options.parse({
      name: `version ${document.version}`,
      text: document.body,
      allow: this.#remote.allow,
    });
    if (parsed.kind === "config") return parsed;
    return { kind: "faulty", reason: parsed.faults.map(({ text }) => text).join("; ") };
  }

  async #refuse(
    { from }: Offer,
    refusal: Refusal & Pick<RemoteEvent, "digest" | "version" | "key">,
  ): Promise<void> {
    const { code } = refusal;
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
    await this.#note({ kind: "refused", from, ...refusal });
  }

  // ---- what is written down ----

  async #note(event: RemoteEvent): Promise<void> {
    if (await this.#audit.note(event)) this.#options.say("remote", event);
  }

  /** False where the disk did not take it: then nothing has changed. */
  async #store(state: RemoteState): Promise<boolean> {
    const { disk, directory } = this.#options;
    try {
      await makeFolder(disk, directory);
      await writeRemoteState(disk, remotePaths(directory).state, state);
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      this.#trouble = `what is known of remote configurations cannot be written: ${error.message}`;
      return false;
    }
    this.#state = state;
    this.#trouble = undefined;
    return true;
  }

  #serial<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#work.then(work);
    this.#work = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}

type Usable = { readonly document: RemoteDocument; readonly config: Config };
type Refusal = { readonly code: RefusalCode; readonly reason: string };

export async function openRemote(options: RemoteOptions): Promise<RemoteConfiguration> {
  const remote = new RemoteConfiguration(options);
  await remote.open();
  return remote;
}

function unreadable(directory: string, cause: Error & { readonly code: string }): Fault {
  const what = `what is known of remote configurations in ${directory} cannot be read (${cause.code})`;
  const remedy = "let the user that runs weir read it, or check the disk";
  return new Fault("DISK_FAILED", `${what}: ${remedy}`, { cause, facts: { directory } });
}

function named({
  version,
  key,
  digest,
}: RemoteDocument): Pick<RemoteEvent, "version" | "key" | "digest"> & { readonly digest: string } {
  return { version, key, digest };
}
