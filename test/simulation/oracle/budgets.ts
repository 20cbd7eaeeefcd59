/**
 * What went over the links, counted on the network and not by the agent (P6):
 *
 *   bandwidth   no 10 seconds have more than ten times as much as is sent in one
 *   quota       the day has no more, but for what was under way when it ended
 *   hours       no records of summaries begin outside of them
 *
 * Hours go by the gateway's clock: where that was wrong they are not asked for. A day does not end for
 * a clock that is not believed.
 */

import type { Evidence, LinkUse, Violation } from "./evidence.ts";

const spanMs = 10_000;

export function checkBudgets({ links, clockWasRight }: Evidence): readonly Violation[] {
  return links.flatMap((link) => [
    ...bandwidthOf(link),
    ...quotaOf(link),
    ...(clockWasRight ? hoursOf(link) : []),
  ]);
}

function bandwidthOf({ name, bandwidth, sent }: LinkUse): readonly Violation[] {
  if (bandwidth === undefined) return [];
  const most = (bandwidth * spanMs) / 1_000;
  let from = 0;
  let sum = 0;
  for (const { atMs, bytes } of sent) {
    sum += bytes;
    while (sent[from]!.atMs < atMs - spanMs) sum -= sent[from++]!.bytes;
    if (sum > most) {
      const what = `${sum} bytes went over ${name} in the 10 s before ${atMs} ms, over ${most}`;
      return [{ promise: "P6", what }];
    }
  }
  return [];
}

function quotaOf({ name, quotaBytes, slackBytes, sent, receivedBytes }: LinkUse): Violation[] {
  if (quotaBytes === undefined) return [];
  const total = sent.reduce((sum, { bytes }) => sum + bytes, receivedBytes);
  if (total <= quotaBytes + slackBytes) return [];
  const what = `${total} bytes went over ${name}, whose day has ${quotaBytes}`;
  return [{ promise: "P6", what }];
}

function hoursOf({ name, closedUntilMs, sent }: LinkUse): readonly Violation[] {
  const early = sent.find(
    ({ atMs, lane, isRecords }) => lane !== "alerts" && isRecords && atMs < closedUntilMs,
  );
  if (early === undefined) return [];
  const what = `summaries went over ${name} at ${early.atMs} ms, closed until ${closedUntilMs}`;
  return [{ promise: "P6", what }];
}
