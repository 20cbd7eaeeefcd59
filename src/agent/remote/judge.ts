/**
 * Whether a document may be tried: signed by one of ours, for this agent, newer than all before, in time,
 * a configuration, and one that deletes only what it says it may. Of several that wait the highest version counts; those that it has overtaken are
 * passed over.
 */

import { limits } from "../../core/limits.ts";
import { rfc3339 } from "../../sync/kafka/message/rfc3339.ts";
import type { Config } from "../config/config.ts";
import { sectionsOf } from "../config/overlay.ts";
import type { Status } from "../status.ts";
import type { RemoteEvent } from "./audit-log.ts";
import { isFor, openDocument, type RemoteDocument } from "./document.ts";
import { type Dropped, lossesBy } from "./losses.ts";
import type { JudgeOptions } from "./remote-options.ts";
import type { Offer, RefusalCode } from "./remote-status.ts";

export type Refusal = { readonly code: RefusalCode; readonly reason: string };

/** Of which document, as the audit log has it. */
export type About = Pick<RemoteEvent, "version" | "key" | "digest">;

export function named({ version, key, digest }: RemoteDocument): About {
  return { version, key, digest };
}

export type Sorted = {
  /** The highest version among those that are signed and for this agent. */
  readonly newest: { readonly offer: Offer; readonly document: RemoteDocument } | undefined;
  /** In the order in which they came. */
  readonly refused: readonly { readonly offer: Offer; readonly refusal: Refusal & About }[];
  /** How many were for other agents, in topics for many. */
  readonly elsewhere: number;
};

/** Verifies them. Of two with the same version the first counts. */
export function sorted(offers: readonly Offer[], { remote, agent }: Ours): Sorted {
  let newest: Sorted["newest"];
  let elsewhere = 0;
  const refused: { offer: Offer; refusal: Refusal & About }[] = [];
  for (const offer of offers) {
    const opened = openDocument(offer.bytes, remote.keys);
    if (opened.kind === "refused") {
      const { code, reason, digest } = opened;
      refused.push({ offer, refusal: { code, reason, digest } });
    } else if (isFor(opened.document, agent)) {
      const { document } = opened;
      if (document.version > (newest?.document.version ?? 0)) newest = { offer, document };
    } else if (offer.isShared) elsewhere += 1;
    else {
      const reason = `it is for ${opened.document.agent}, and this is ${agent}`;
      refused.push({ offer, refusal: { code: "other_agent", reason, ...named(opened.document) } });
    }
  }
  return { newest, refused, elsewhere };
}

type Ours = Pick<JudgeOptions, "remote" | "agent">;

/** To be kept for a while: a copy, cut where it is too long for any document. */
export function kept({ bytes, ...about }: Offer): Offer {
  return { ...about, bytes: new Uint8Array(bytes.subarray(0, limits.remoteDocumentBytesMax + 1)) };
}

/**
 * At most `limits.remoteWaitingMax` of them, in their order: the one that counts, whatever came after it,
 * and the newest of the others.
 */
export function sift(offers: readonly Offer[], ours: Ours): readonly Offer[] {
  const from = offers.length - limits.remoteWaitingMax;
  if (from <= 0) return offers;
  const counts = sorted(offers, ours).newest?.offer;
  if (counts === undefined || offers.indexOf(counts) >= from) return offers.slice(from);
  return [counts, ...offers.slice(from + 1)];
}

/** What counts when one is judged. */
export type JudgedBy = {
  readonly highest: number;
  /** It was in force when what is known of it was lost: it goes on. */
  readonly isLost: boolean;
  /** The gateway's; it counts as soon as it is trusted. */
  readonly clock: () => Status["clock"] | undefined;
  /** What the agent that runs was opened with, and the document in it. */
  readonly inForce: Config;
  readonly running: RemoteDocument | undefined;
};

/** Why it may not be tried; undefined: it may. Rejects as its files do. */
export async function refusalOf(
  document: RemoteDocument,
  by: JudgedBy,
  options: JudgeOptions,
): Promise<Refusal | undefined> {
  return (
    staleness(document, by) ??
    expiry(document, by.clock()) ??
    (await faultIn(document, by, options))
  );
}

function staleness(
  { version }: RemoteDocument,
  { highest, isLost }: JudgedBy,
): Refusal | undefined {
  const highestNext = Math.max(highest, limits.remoteVersionFree) + limits.remoteVersionLeapMax;
  if (version > highestNext) {
    const reason = `it is version ${version}: after it there would soon be no higher one; sign it as ${highestNext} at most`;
    return { code: "too_high", reason };
  }
  if (version > highest || (version === highest && isLost)) return undefined;
  if (version === highest) {
    const reason = `another document was version ${version} already: sign it as ${highest + 1}`;
    return { code: "version_taken", reason };
  }
  const reason = `it is version ${version}, and version ${highest} was accepted before`;
  return { code: "replayed", reason };
}

/** By the gateway's clock, as soon as that is trusted. */
export function expiry(
  { expires }: Pick<RemoteDocument, "expires">,
  clock: Status["clock"] | undefined,
): Refusal | undefined {
  if (expires === undefined || clock?.trusted !== true || clock.now <= expires) return undefined;
  const at = Buffer.from(rfc3339(expires) ?? []).toString("ascii");
  const reason = `it expired at ${at}, before this agent took it`;
  return { code: "expired", reason };
}

/** As weir check does, and then what it would delete. */
async function faultIn(
  document: RemoteDocument,
  { inForce, running }: Pick<JudgedBy, "inForce" | "running">,
  options: JudgeOptions,
): Promise<Refusal | undefined> {
  const parsed = await configOf(document, options);
  if (parsed.kind === "faulty") return { code: "invalid", reason: parsed.reason };
  const [problem] = await options.problemsOf(parsed.config);
  if (problem !== undefined) return { code: "files", reason: problem };
  if (document.mayDelete) return undefined;
  const losses = lossesBy(inForce, parsed.config, await droppedBy(document, running));
  if (losses.length === 0) return undefined;
  const what = `it ${losses.join(" and ")}, which may delete what no rollback brings back`;
  return { code: "would_delete", reason: `${what}: sign it with --may-delete if that is meant` };
}

async function droppedBy(
  document: RemoteDocument,
  running: RemoteDocument | undefined,
): Promise<Dropped | undefined> {
  if (running === undefined) return undefined;
  const [before, now] = [await sectionsOf(running.body), await sectionsOf(document.body)];
  return { version: running.version, sections: before.difference(now) };
}

/** The local file with it laid over. */
export async function configOf(
  document: RemoteDocument,
  { parse, remote }: JudgeOptions,
): Promise<
  | { readonly kind: "config"; readonly config: Config }
  | { readonly kind: "faulty"; readonly reason: string }
> {
  const parsed = await parse({
    name: `version ${document.version}`,
    text: document.body,
    allow: remote.allow,
  });
  if (parsed.kind === "config") return parsed;
  return { kind: "faulty", reason: parsed.faults.map(({ text }) => text).join("; ") };
}
