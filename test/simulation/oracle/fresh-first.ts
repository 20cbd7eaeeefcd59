/**
 * Fresh first, as the cluster sees it: while alerts or what is fresh are in a transaction, backfill
 * and raw readings begin none.
 *
 *   summaries   |====================|
 *   backfill      |=   :    |=
 *                 sound     too late to have begun before
 *
 * An agent that dies takes its transactions with it. A lane may have taken its records a while before
 * the cluster hears of it: its store has to say so first, and may be slow.
 */

import type { Evidence, Transaction, Violation } from "./evidence.ts";

/** Between taking records and the first request: a few commits of a store that is slow. */
const takenMs = 10_000;

export function checkFreshFirst({ transactions }: Evidence): readonly Violation[] {
  const first = transactions.filter(({ lane }) => !isPatient(lane));
  return transactions
    .filter(({ lane }) => isPatient(lane))
    .flatMap((late) => {
      const before = first.find((each) => isUnderWay(each, late));
      return before === undefined ? [] : [{ promise: "fresh first", what: told(late, before) }];
    });
}

function isPatient(lane: string): boolean {
  return lane === "backfill" || lane === "raw";
}

function isUnderWay(before: Transaction, late: Transaction): boolean {
  return (
    before.life === late.life &&
    before.beganAt + takenMs <= late.beganAt &&
    late.beganAt < before.endedAt
  );
}

function told({ lane, beganAt }: Transaction, before: Transaction): string {
  return `${lane} began at ${beganAt} ms; ${before.lane} had begun at ${before.beganAt} and not ended`;
}
