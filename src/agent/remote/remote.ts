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
 * Decisions are made one after another, in the order in which they were asked for. What the disk or a file
 * keeps from being judged or written is kept, and tried again while an agent runs.
 */

import { assert } from "../../core/assert.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import type { RemoteConfig } from "../config/remote-config.ts";
import { diskTrouble } from "../degraded.ts";
import type { Status } from "../status.ts";
import { isFor, openDocument, readKept, type RemoteDocument } from "./document.ts";
import {
  blamedFor,
  expiredTrouble,
  type Trouble,
  troublesOf,
  untriedIn,
  withoutProof,
} from "./health.ts";
import {
  type About,
  configOf,
  expiry,
  kept,
  named,
  type Refusal,
  refusalOf,
  sift,
  sorted,
} from "./judge.ts";
import { Known } from "./known.ts";
import type { JudgeOptions, RemoteOptions, Running } from "./remote-options.ts";
import type { Offer, RemoteStatus, Unused } from "./remote-status.ts";
import { documentIn, type Trial } from "./remote-state.ts";
import { Probe } from "./probe.ts";
import { type Verdict, Watch } from "./watch.ts";

export class RemoteConfiguration {
  readonly #options: RemoteOptions;
  readonly #remote: RemoteConfig;
  readonly #judge: JudgeOptions;
  readonly #known: Known;
  /** Why something is judged later. */
  #lateness: string | undefined;
  /** What `begin` gave: the document, and its configuration. */
  #inForce: RemoteDocument | undefined;
  #config: Config;
  /** The proven one, where it cannot be used. */
  #unused: Unused | undefined;
  /** Without the trial, to compare with. */
  #before: Config;
  #isTrial = false;
  /** There is one, and it begins as soon as that can be counted. */
  #isHeldBack = false;
  #running: Running | undefined;
  /** At most `limits.remoteWaitingMax`. */
  #offers: readonly Offer[] = [];
  /** Of the agent that runs, until it is written. */
  #verdict: Verdict | undefined;
  #isAdvancing = false;
  #cancelAgain: (() => void) | undefined;
  #changed = Promise.withResolvers<void>();
  #work: Promise<void> = Promise.resolve();
  readonly #counts = { accepted: 0, proven: 0, rolledBack: 0, elsewhere: 0 };
  readonly #refused = new Map<string, number>();

  /** Use `openRemote`. */
  constructor(options: RemoteOptions) {
    const { local } = options;
    assert(local.remote !== undefined, "who opens it has a remote section");
    this.#options = options;
    this.#remote = local.remote;
    this.#judge = { ...options, remote: local.remote, agent: local.agent };
    this.#config = local;
    this.#before = local;
    this.#known = new Known(options);
  }

  /** Faults: FORMAT_TOO_NEW; DISK_FAILED where what is known cannot be read. */
  open(): Promise<void> {
    return this.#known.open();
  }

  /** Resolves when another configuration is to be used than the last that `begin` gave. */
  get changed(): Promise<void> {
    return this.#changed.promise;
  }

  get isTrial(): boolean {
    return this.#isTrial;
  }

  get status(): RemoteStatus {
    const { audit, state, trouble } = this.#known;
    const { highest, trial } = state;
    const inForce = this.#inForce;
    return {
      inForce: inForce && { version: inForce.version, digest: inForce.digest },
      unused: inForce === undefined ? this.#unused : undefined,
      trial: this.#isTrial
        ? { tries: trial?.tries ?? 0, triesMax: this.#remote.triesMax }
        : undefined,
      highest,
      counters: {
        ...this.#counts,
        refused: Object.fromEntries(this.#refused),
        unwritten: audit.unwritten,
      },
      audit: audit.entries.slice(-limits.remoteAuditShownMax),
      trouble: this.#lateness ?? trouble,
    };
  }

  // ---- the life of a configuration ----

  /** What to start with; a trial is counted. Once for each agent that is opened. */
  begin(): Promise<Config> {
    return this.#serial(async () => {
      const good = await this.#usable(this.#known.state.good, "good");
      if (good !== undefined || this.#known.state.good === undefined) this.#unused = undefined;
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
    this.#advance();
    const watch = this.#isTrial ? this.#watch(agent) : undefined;
    return () => {
      watch?.close();
      this.#running = undefined;
      this.#verdict = undefined;
      this.#cancelAgain?.();
      this.#cancelAgain = undefined;
    };
  }

  /** Whether the trial, if there is one, may be why the agent failed so. */
  isBlamed(error: unknown): error is Fault {
    return this.#isTrial && error instanceof Fault && diskTrouble(error) === undefined;
  }

  /**
   * The agent could not start, or failed. True where a new configuration is taken back for it: begin again.
   * A disk that fails, or another agent in the data directory, is no configuration's fault.
   */
  failed(error: unknown): Promise<boolean> {
    return this.#serial(async () => {
      if (!this.isBlamed(error)) return false;
      // Its own data directory no document can name; another's directory for an uplink it can.
      const { dataDirectory } = this.#options.local;
      if (error.code === "DIRECTORY_IN_USE" && error.facts["directory"] === dataDirectory) {
        await this.#uncount({ stops: 0 });
        return false;
      }
      await this.#rollBack("failed", error.message);
      return true;
    });
  }

  /** The process ends as it was asked to: the start is not counted against a trial. */
  stopped(): Promise<void> {
    return this.#serial(async () => {
      const { stops = 0 } = this.#known.state.trial ?? {};
      // Stopped again and again it would never end, proven or not.
      if (this.#isTrial && stops < limits.remoteStopsMax) await this.#uncount({ stops: 1 });
    });
  }

  async #uncount({ stops }: { readonly stops: number }): Promise<void> {
    const { trial } = this.#known.state;
    if (trial === undefined) return;
    await this.#known.store({
      ...this.#known.state,
      trial: { ...trial, tries: Math.max(0, trial.tries - 1), stops: trial.stops + stops },
    });
  }

  /** Undefined where there is none, or it is over. */
  async #trialToStart(): Promise<Usable | undefined> {
    const { trial } = this.#known.state;
    this.#isHeldBack = false;
    if (trial === undefined) return undefined;
    if (trial.tries >= this.#remote.triesMax) {
      const reason = `${trial.tries} starts with it ended before it was proven`;
      await this.#rollBack("crashed", reason);
      return undefined;
    }
    const usable = await this.#usable(trial.text, "trial");
    if (usable === undefined) return undefined;
    const counted = { ...trial, tries: trial.tries + 1 };
    if (await this.#known.store({ ...this.#known.state, trial: counted })) return usable;
    // Not counted, it could end this process for ever.
    this.#isHeldBack = true;
    return undefined;
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
      const parsed = await configOf(opened.document, this.#judge);
      if (parsed.kind === "config") return { document: opened.document, config: parsed.config };
      return await this.#unusable(
        text,
        { digest: opened.document.digest, reason: parsed.reason },
        what,
      );
    }
    const digest = opened.kind === "refused" ? opened.digest : opened.document.digest;
    return await this.#unusable(text, { digest, reason: reason ?? "" }, what);
  }

  /** It stays: the local file may be put right. A trial is given up. */
  async #unusable(
    text: string,
    why: Pick<Unused, "digest" | "reason">,
    what: "good" | "trial",
  ): Promise<undefined> {
    if (what === "trial") {
      await this.#rollBack("unusable", why.reason);
      return undefined;
    }
    const version = readKept(text)?.version;
    const unused = { ...(version === undefined ? {} : { version }), ...why };
    const isSaid = this.#unused?.digest === why.digest;
    this.#unused = unused;
    const event = { kind: "unusable", ...unused } as const;
    // Each process says it once; the audit log has it once, whoever starts again and again.
    if (!this.#isNoted(why.digest)) await this.#known.note(event);
    else if (!isSaid) this.#options.say("remote", event);
    return undefined;
  }

  /** Nothing but refusals came since. */
  #isNoted(digest: string): boolean {
    const last = this.#known.audit.entries.findLast(({ kind }) => kind !== "refused");
    return last?.kind === "unusable" && last.digest === digest;
  }

  #watch(agent: Running): Watch {
    const { clock, endpointsOf } = this.#options;
    // What it did not touch is not its fault.
    const blames = blamedFor(this.#before, this.#config);
    const endpoints = endpointsOf(this.#before, this.#config);
    const beganAt = clock.monotonic();
    // The clock may be trusted only now; what it was when the trial began counts.
    const late = ({ now, trusted }: Status["clock"]): readonly Trouble[] => {
      const then = { trusted, now: now - (clock.monotonic() - beganAt) };
      const why = this.#inForce && expiry(this.#inForce, then)?.reason;
      return why === undefined ? [] : [{ name: expiredTrouble, message: why, isEarly: false }];
    };
    const probe = new Probe(endpoints, { clock, forMs: this.#remote.watchMs });
    return new Watch({
      clock,
      forMs: this.#remote.watchMs,
      troubles: () => {
        const status = agent.status();
        return [
          ...late(status.clock),
          ...troublesOf(status),
          ...probe.troubles(untriedIn(status, blames)),
        ];
      },
      before: this.#known.state.trial?.troubles ?? [],
      blames,
      onVerdict: (verdict) => {
        this.#verdict = verdict;
        this.#advance();
      },
    });
  }

  /** False where the disk did not take it. */
  async #conclude(verdict: Verdict, agent: Running): Promise<boolean> {
    if (verdict.kind === "well") return await this.#proven(agent);
    await this.#rollBack(verdict.code, verdict.reason);
    return true;
  }

  async #proven(agent: Running): Promise<boolean> {
    const { trial, ...rest } = this.#known.state;
    const document = this.#inForce;
    if (!this.#isTrial || trial === undefined || document === undefined) return true;
    if (!(await this.#known.store({ ...rest, good: trial.text }))) return false;
    this.#isTrial = false;
    this.#counts.proven += 1;
    const untried = untriedIn(agent.status(), blamedFor(this.#before, this.#config));
    await this.#known.note({ kind: "proven", ...withoutProof(untried), ...named(document) });
    return true;
  }

  /** What was before is in force at the next `begin`, whether or not the disk takes it. */
  async #rollBack(code: string, reason: string): Promise<void> {
    const { trial, ...rest } = this.#known.state;
    if (trial === undefined) return;
    const opened = openDocument(new TextEncoder().encode(trial.text), this.#remote.keys);
    const about = opened.kind === "document" ? named(opened.document) : { digest: opened.digest };
    await this.#known.settle(rest);
    this.#isTrial = false;
    this.#counts.rolledBack += 1;
    await this.#known.note({ kind: "rolled_back", code, reason, ...about });
    this.#changed.resolve();
  }

  // ---- what comes ----

  /** Judged when an agent runs: what is in trouble now is compared with later. */
  offer(offer: Offer): void {
    this.#offers = sift([...this.#offers, kept(offer)], this.#judge);
    this.#advance();
  }

  /** Nobody waits for it: a bug ends the process. */
  #advance(): void {
    if (this.#isAdvancing || this.#running === undefined) return;
    this.#isAdvancing = true;
    const advanced = this.#serial(async () => {
      this.#isAdvancing = false;
      try {
        const isDone = await this.#catchUp();
        this.#lateness = undefined;
        return isDone;
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        this.#lateness = `a remote configuration is judged later: ${error.message}`;
        return false;
      }
    });
    void advanced.then((isDone) => {
      if (isDone || this.#running === undefined) return;
      this.#cancelAgain ??= this.#options.clock.after(limits.remoteAgainMs, () => {
        this.#cancelAgain = undefined;
        this.#advance();
      });
    });
  }

  /** All that waits. False where the disk did not take it; rejects as files do. */
  async #catchUp(): Promise<boolean> {
    if (this.#known.isUnread) {
      await this.#known.open();
      if (this.#known.isUnread) return false;
      if (documentIn(this.#known.state) !== undefined) this.#changed.resolve();
    }
    if (this.#known.isUnwritten || this.#isHeldBack) {
      if (!(await this.#known.write())) return false;
      if (this.#isHeldBack) this.#changed.resolve();
    }
    const verdict = this.#verdict;
    if (verdict !== undefined && this.#running !== undefined) {
      if (!(await this.#conclude(verdict, this.#running))) return false;
      this.#verdict = undefined;
    }
    return await this.#judgeOffers();
  }

  async #judgeOffers(): Promise<boolean> {
    if (this.#running === undefined) return true;
    const { newest, refused, elsewhere } = sorted(this.#offers, this.#judge);
    this.#offers = newest === undefined ? [] : [newest.offer];
    this.#counts.elsewhere += elsewhere;
    for (const { offer, refusal } of refused) await this.#refuse(offer, refusal);
    if (newest === undefined) return true;
    const isDone = await this.#judgeOne(newest.document, newest.offer);
    if (isDone) this.#offers = this.#offers.filter((offer) => offer !== newest.offer);
    return isDone;
  }

  /** False where the disk did not take it, or no agent runs any more. */
  async #judgeOne(document: RemoteDocument, offer: Offer): Promise<boolean> {
    const { highest, digest } = this.#known.state;
    const { version } = document;
    if (document.digest === digest || (offer.isHistory && version < highest)) return true;
    const isLost = this.#known.isLost(document);
    const clock = (): Status["clock"] | undefined => this.#running?.status().clock;
    const by = { highest, isLost, clock, inForce: this.#config, running: this.#inForce };
    const refusal = await refusalOf(document, by, this.#judge);
    if (this.#running === undefined) return false;
    if (refusal !== undefined) {
      await this.#refuse(offer, { ...refusal, ...named(document) });
      return true;
    }
    const trial: Trial = { text: document.text, tries: 0, stops: 0, troubles: this.#troublesNow() };
    const { good } = this.#known.state;
    const next = {
      highest: Math.max(version, highest),
      digest: document.digest,
      ...(good === undefined ? {} : { good }),
      trial,
    };
    if (!(await this.#known.store(next))) return false;
    this.#isTrial = false; // what was tried until now is overtaken
    this.#verdict = undefined;
    this.#counts.accepted += 1;
    await this.#known.note({ kind: "accepted", from: offer.from, ...named(document) });
    this.#changed.resolve();
    return true;
  }

  /** Under a trial: what was wrong before that. */
  #troublesNow(): readonly string[] {
    const { trial } = this.#known.state;
    if (trial !== undefined) return trial.troubles;
    const running = this.#running;
    if (running === undefined) return [];
    return troublesOf(running.status()).flatMap(({ name, isEarly }) => (isEarly ? [] : [name]));
  }

  #isFor(document: RemoteDocument): boolean {
    return isFor(document, this.#options.local.agent);
  }

  async #refuse({ from }: Offer, refusal: Refusal & About): Promise<void> {
    const { code } = refusal;
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
    await this.#known.note({ kind: "refused", from, ...refusal });
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

export async function openRemote(options: RemoteOptions): Promise<RemoteConfiguration> {
  const remote = new RemoteConfiguration(options);
  await remote.open();
  return remote;
}
