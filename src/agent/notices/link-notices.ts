/** What a person should know of links; see notices.ts. */

import { counted } from "../../core/counted.ts";
import { rfc3339 } from "../../sync/kafka/message/rfc3339.ts";
import { durationText, roughBytesText } from "../config/quantity.ts";
import type { PauseStatus } from "../../sync/pauses.ts";
import type { Notice } from "./notice.ts";
import type { Status } from "../status.ts";

/** Since when, and until when, as far as is known: times in UTC. */
export function pauseText({ since, until, leftMs }: PauseStatus): string {
  const from = since === undefined ? "" : ` since ${timeText(since)}`;
  if (until !== undefined) return `paused${from} until ${timeText(until)}`;
  if (leftMs === undefined) return `paused${from} until it is resumed`;
  return `paused${from} for ${durationText(Math.ceil(leftMs / 60_000) * 60_000)} more`;
}

function timeText(timeMs: number): string {
  const text = rfc3339(timeMs);
  return text === undefined ? `${timeMs}` : `${new TextDecoder().decode(text).slice(0, 19)}Z`;
}

export function linkNotices({ links, uplinks }: Pick<Status, "links" | "uplinks">): Notice[] {
  const notices: Notice[] = [];
  const add = (code: string, message: string): void => {
    notices.push({ code, message });
  };
  for (const { name, quota, held } of links) {
    const waiting = Object.entries(held).flatMap(([lane, why]) =>
      why === "quota-used" ? [lane] : [],
    );
    if (quota !== undefined && waiting.length > 0) {
      add(
        `link_quota_${name}`,
        `link ${name}: ${roughBytesText(quota.usedBytes)} of ${roughBytesText(quota.bytes)} are used in ${quota.period || "this period"}: ${waiting.join(" and ")} wait for the next; give it more (weir link budget ${name}, quota.bytes), or send less: longer windows`,
      );
    }
    if (quota?.configuredBytes !== undefined) {
      add(
        `link_budget_${name}`,
        `link ${name}: somebody gave it a budget of ${roughBytesText(quota.bytes)} in ${quota.period || "this period"}, then ${roughBytesText(quota.configuredBytes)} again as configured; at once by weir link budget ${name}`,
      );
    }
    if (Object.values(held).includes("clock-untrusted")) {
      add(
        `link_clock_${name}`,
        `link ${name} has hours (windows), and this gateway's clock is not trusted: what waits for them waits until the clock is set`,
      );
    }
  }
  for (const { name, paused, links: ways } of uplinks) {
    if (paused !== undefined) {
      add(
        `uplink_paused_${name}`,
        `uplink ${name} is ${pauseText(paused)}, because somebody asked for it: what it is to send waits in the outbox, alerts too; weir link resume ${name} ends it`,
      );
    }
    const down = ways.filter(({ isUp }) => !isUp).map(({ link }) => link);
    if (down.length === 0) continue;
    add(
      `link_down_${name}`,
      `uplink ${name}: deliveries over ${down.join(" and ")} failed; ${down.length < ways.length ? "another link is used meanwhile" : "no other link is left"}, and it is tried again by itself`,
    );
  }
  return notices;
}

/** A savepoint that cannot be sent, or waits for long: who replaced the gateway now would lose more. */
export function savepointNotices({
  savepoints,
  clock,
}: Pick<Status, "savepoints" | "clock">): Notice[] {
  if (savepoints === undefined) return [];
  const { topic, trouble, last, isLate, state, sentChunks, chunks } = savepoints;
  if (trouble === undefined && !isLate) return [];
  const why =
    trouble ??
    (state === "sending"
      ? `${sentChunks} of ${counted(chunks, "chunk")} are there, other records go first`
      : "the cluster has not confirmed the agent's name");
  const since =
    last === undefined
      ? "none was sent since the start"
      : `the last one is ${durationText(Math.max(0, clock.now - last.made))} old`;
  const message = `no savepoint could be sent to ${topic} (${why}); ${since}, and it is tried again by itself`;
  return [{ code: "savepoint_not_sent", message }];
}
