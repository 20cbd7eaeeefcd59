/** The effective policy of a link, and what of it depends on several values. */

import { limits } from "../../core/limits.ts";
import { lanes } from "../../store/outbox/lane.ts";
import { isTimezone } from "../../sync/link/local-time.ts";
import type { LinkPolicy } from "../../sync/link/policy.ts";
import type { LocalWindow } from "../../sync/link/schedule.ts";
import type { UplinkSection } from "./config-file.ts";
import type { Finding, Path } from "./fault.ts";
import { type LinkSection, weekdays } from "./link-section.ts";
import { suggestion } from "./nearest.ts";
import { durationText } from "./quantity.ts";

export const linkDefaults: Pick<LinkPolicy, "alerts" | "timezone" | "failMs" | "retryMs"> &
  NonNullable<LinkPolicy["metered"]> = {
  alerts: "always",
  timezone: "UTC",
  minBatchBytes: 65_536, // 64 KiB
  maxDelayMs: 900_000,
  failMs: limits.linkFailMs,
  retryMs: limits.linkRetryMs,
};

/** A link that is always there and costs nothing, but for `changes`. */
export function linkOf(changes: Pick<LinkPolicy, "name"> & Partial<LinkPolicy>): LinkPolicy {
  return {
    bandwidth: undefined,
    shares: {},
    quota: undefined,
    windows: [],
    metered: undefined,
    localAddress: undefined,
    alerts: linkDefaults.alerts,
    timezone: linkDefaults.timezone,
    failMs: linkDefaults.failMs,
    retryMs: linkDefaults.retryMs,
    ...changes,
  };
}

/** `section` has passed all checks. */
export function linkPolicy(section: LinkSection): LinkPolicy {
  const { name, bandwidth, shares, quota, windows, alerts, timezone, metered } = section;
  const { minBatch = linkDefaults.minBatchBytes, maxDelay = linkDefaults.maxDelayMs } = section;
  return {
    name,
    bandwidth,
    shares,
    quota: quota && { bytes: quota.bytes, per: quota.per, reserveBytes: quota.reserve },
    windows: windows.map(windowOf),
    alerts,
    timezone,
    metered: metered ? { minBatchBytes: minBatch, maxDelayMs: maxDelay } : undefined,
    localAddress: section.localAddress,
    failMs: section.failAfter,
    retryMs: section.retryAfter,
  };
}

function windowOf({ from, to, days }: LinkSection["windows"][number]): LocalWindow {
  return {
    from: minuteOf(from),
    to: minuteOf(to),
    days: days.map((day) => weekdays.indexOf(day)),
  };
}

function minuteOf(text: string): number {
  const [hour = "", minute = ""] = text.split(":");
  return Number(hour) * 60 + Number(minute);
}

/** What of the links, and of the uplinks that name them, contradicts itself or is not meant. */
export function checkLinks(
  links: readonly (LinkSection | undefined)[],
  uplinks: readonly (UplinkSection | undefined)[],
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings = [
    ...links.flatMap((link, index) =>
      link === undefined ? [] : linkFindings(link, ["links", index]),
    ),
    ...uplinks.flatMap((uplink, index) =>
      uplink === undefined ? [] : viaFindings(uplink, { links, at: ["uplinks", index] }),
    ),
  ];
  const named = new Set(uplinks.flatMap((uplink) => uplink?.via ?? []));
  const hasty = uplinks.flatMap((uplink, index) => hastyRequests(uplink, { links, index }));
  const unused = links.flatMap((link, index) => {
    if (link === undefined || named.has(link.name)) return [];
    const message = `no uplink goes over ${link.name}: name it in uplinks[].via`;
    return [{ path: ["links", index, "name"], message }];
  });
  return { findings, warnings: [...hasty, ...unused] };
}

/** At the bandwidth of a link a delivery takes its time, and may share it with others. */
function hastyRequests(
  uplink: UplinkSection | undefined,
  {
    links,
    index,
  }: { readonly links: readonly (LinkSection | undefined)[]; readonly index: number },
): Finding[] {
  const request = uplink?.kafka?.timeouts.request;
  const least = 4 * limits.linkBatchMs;
  if (request === undefined || request >= least) return [];
  const slow = links.find(
    (link) => link?.bandwidth !== undefined && uplink?.via?.includes(link.name) === true,
  );
  if (slow === undefined) return [];
  const path = ["uplinks", index, "kafka", "timeouts", "request"];
  const message = `a delivery takes ${durationText(limits.linkBatchMs)} at the bandwidth of ${slow.name}, and longer where it shares it: give a request ${durationText(least)} at least`;
  return [{ path, message }];
}

function linkFindings(link: LinkSection, at: Path): Finding[] {
  const findings: Finding[] = [];
  const find = (path: Path, message: string, isKey?: true): void => {
    findings.push({ path: [...at, ...path], message, ...(isKey && { isKey }) });
  };
  const { shares, bandwidth, quota, timezone, localAddress } = link;
  const names: readonly string[] = lanes;
  for (const lane of Object.keys(shares)) {
    if (!names.includes(lane)) {
      find(["shares", lane], `no lane has this name; ${suggestion(lane, names)}`, true);
    }
  }
  const shared = Object.values(shares).reduce((sum, share) => sum + share, 0);
  if (shared > 1) find(["shares"], "the shares are more than the whole: together at most 1");
  if (shared > 0 && bandwidth === undefined) {
    find(["shares"], "shares are parts of bandwidth: set it, or remove them");
  }
  if (quota !== undefined && quota.reserve >= quota.bytes) {
    find(["quota", "reserve"], "the reserve is a part of bytes: nothing would be left of it");
  }
  if (!isTimezone(timezone)) find(["timezone"], "no timezone of this name, such as Europe/Berlin");
  for (const key of ["minBatch", "maxDelay"] as const) {
    if (link[key] !== undefined && !link.metered) {
      find([key], "only a metered link waits: set metered: true, or remove this");
    }
  }
  if (localAddress !== undefined && !isAddress(localAddress)) {
    find(["localAddress"], "an IP address of this gateway, such as 10.64.0.2");
  }
  return findings;
}

function isAddress(text: string): boolean {
  const isFour = /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && URL.canParse(`http://${text}/`);
  return isFour || (text.includes(":") && URL.canParse(`http://[${text}]/`));
}

function viaFindings(
  { via = [], file }: UplinkSection,
  { links, at }: { readonly links: readonly (LinkSection | undefined)[]; readonly at: Path },
): Finding[] {
  if (via.length > 0 && file !== undefined) {
    return [{ path: [...at, "via"], message: "files go over no link: remove this" }];
  }
  const isComplete = links.every((link) => link !== undefined);
  const names = links.flatMap((link) => (link === undefined ? [] : [link.name]));
  return via.flatMap((name, index) => {
    const path = [...at, "via", index];
    if (via.indexOf(name) < index) return [{ path, message: "it is named before already" }];
    if (names.includes(name) || !isComplete) return [];
    const what = `no link has the name ${JSON.stringify(name)}`;
    return [{ path, message: `${what}; ${suggestion(name, names)}` }];
  });
}
