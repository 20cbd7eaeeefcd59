/**
 * What a consumer of a model of a cluster must find when an agent's name was used twice: nothing is
 * lost, and what is repeated was reported, by an incident whose words and range name it. The words
 * are read here as a person would, apart from the code that writes them.
 */

import assert from "node:assert/strict";
import { outputQueues } from "../../../src/store/outbox/lane.ts";
import type { Incident } from "../../../src/sync/uplink.ts";
import type { UpstreamHalf, UpstreamWorld } from "./upstream-half.ts";
import { digestOf, type FoundCursor, histories, lastCursor, received } from "./upstream-oracle.ts";

/**
 * Nothing is lost: what a half emitted is upstream, or still in its outbox. Nothing is repeated in
 * silence: no outbox has a record twice, so a repeated one is there under two, and an incident says
 * that it may be.
 */
export function assertNothingSilent(
  world: UpstreamWorld,
  halves: readonly UpstreamHalf[],
  where: string,
): void {
  world.cluster.settle();
  for (const lane of outputQueues) {
    const at = `${where}, ${lane}`;
    const found = histories(world.cluster, lane, at);
    const emitted = halves.map((half) => half.emitted[lane]);
    const copies = copiesIn(found);
    for (const half of halves) {
      const sent = half.emitted[lane].slice(0, half.store.span(lane).first);
      const lacking = sent.findIndex((text) => !copies.has(text));
      assert.equal(lacking, -1, `${at}: record ${lacking} is neither upstream nor in the outbox`);
    }
    const reports = [...world.incidents[lane].values()].flatMap(reportsIn);
    const forked = received(world.cluster, lane).filter((record) => record.forkedFrom);
    const forks = new Set(forked.map(({ outbox }) => outbox));
    for (const [text, places] of copies) {
      const number = Math.max(...emitted.map((texts) => texts.indexOf(text)));
      assertReported({ places, number }, { reports, forks }, at);
    }
    assertCursorIsTrue(lastCursor(world.cluster, "gw1", lane), found, at);
  }
}

type Histories = ReadonlyMap<string, readonly string[]>;

/** Where a record is: under an outbox, its number there. */
type Place = { readonly outbox: string; readonly seq: number };

/** By text, each place where it is; no outbox has one twice. */
function copiesIn(found: Histories): ReadonlyMap<string, readonly Place[]> {
  const copies = new Map<string, Place[]>();
  for (const [outbox, texts] of found) {
    for (const [seq, text] of texts.entries()) {
      const places = copies.get(text) ?? [];
      assert.ok(!places.some((place) => place.outbox === outbox), `twice in ${outbox}: ${text}`);
      copies.set(text, [...places, { outbox, seq }]);
    }
  }
  return copies;
}

/** What an incident says that may be there twice. */
type Report = {
  /** Whose records, from `first` to below `next`. */
  readonly outbox: string;
  readonly first: number;
  readonly next: number;
  /** The outbox that has them again, from this record on; undefined for one that begins anew. */
  readonly again: { readonly outbox: string; readonly number: number } | undefined;
};

const forkWords =
  /of outbox (\w+), .* goes on as outbox (\w+) from record (\d+) on, .* from (\d+) on may be there twice$/;
const takeoverWords = /^outbox (\w+) has written (\d+) records as gw1, which this agent takes over/;

/** None if the incident is about something else. */
function reportsIn({ what, first: number }: Incident): readonly Report[] {
  const [, forked = "", again = "", from, first] = forkWords.exec(what) ?? [];
  if (again !== "") {
    assert.equal(Number(from), number, "words and range say the same");
    const to = { outbox: again, number };
    return [{ outbox: forked, first: Number(first), next: Infinity, again: to }];
  }
  const [, outbox = "", next] = takeoverWords.exec(what) ?? [];
  return outbox === "" ? [] : [{ outbox, first: 0, next: Number(next), again: undefined }];
}

/**
 * All places of a record but one have it from another, and an incident says so. Of an outbox that
 * says itself what it was forked from (`forks`), that it took the name over is not enough.
 */
function assertReported(
  { places, number }: { readonly places: readonly Place[]; readonly number: number },
  { reports, forks }: { readonly reports: readonly Report[]; readonly forks: ReadonlySet<string> },
  at: string,
): void {
  const tellsOf = ({ again }: Report, { outbox }: Place): boolean =>
    again === undefined ? !forks.has(outbox) : again.outbox === outbox && again.number <= number;
  const isReported = (place: Place): boolean =>
    reports.some(
      (report) =>
        tellsOf(report, place) &&
        places.some(
          ({ outbox, seq }) =>
            outbox !== place.outbox &&
            outbox === report.outbox &&
            report.first <= seq &&
            seq < report.next,
        ),
    );
  const silent = places.filter((place) => !isReported(place));
  assert.ok(silent.length <= 1, `${at}: record ${number} is repeated in silence`);
}

/** Its digests, and those of the outboxes before, are of what was read. */
function assertCursorIsTrue(cursor: FoundCursor, found: Histories, at: string): void {
  assert.equal(cursor.digest, digestOf(found.get(cursor.outbox) ?? []), at);
  for (const [outbox, seq, digest] of cursor.before) {
    assert.equal(digest, digestOf((found.get(outbox) ?? []).slice(0, seq)), `${at}: before`);
  }
}
