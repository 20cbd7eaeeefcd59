/** Uplinks and links as lines for a terminal: of `weir status`, and of `weir link`. */

import type { Held } from "../../sync/link/link.ts";
import type { PauseStatus } from "../../sync/pauses.ts";
import type { PumpStatus } from "../../sync/pump-status.ts";
import { roughBytesText } from "../config/quantity.ts";
import { pauseText } from "../notices/link-notices.ts";
import type { Status } from "../status.ts";
import type { LaneView, LinkView } from "../uplinks/link-desk.ts";

type Lane = LaneView & Partial<Pick<PumpStatus, "facts">>;

/** Either side has what is said here. */
export type UplinkLines = Pick<LinkView, "links"> & {
  readonly uplinks: readonly {
    readonly name: string;
    readonly paused?: PauseStatus | undefined;
    readonly lanes: Readonly<Record<string, Lane>>;
  }[];
};

/** A line for each pause, lane and link, and more below it where something is wrong. */
export function uplinkLines({ uplinks, links }: UplinkLines): readonly string[] {
  return [
    ...uplinks.flatMap(({ name, paused, lanes }) => [
      ...(paused === undefined ? [] : [`uplink    ${name}: ${pauseText(paused)}`]),
      ...Object.entries(lanes).map(
        ([lane, pump]) => `uplink    ${name} ${lane}: ${pumpText(pump)}`,
      ),
    ]),
    ...links.map((link) => `link      ${linkText(link)}`),
  ];
}

/** State and how far it is, what it says about itself, and what is wrong, a line each. */
function pumpText({ state, trouble, link, held, delivered, behind, facts = {} }: Lane): string {
  const over = link === undefined ? "" : `, over ${link}`;
  const waits = held === undefined || behind === 0 ? "" : `, held: ${heldTexts[held]}`;
  const about = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  return [
    `${stateTexts[state] ?? state}${over}, ${delivered} delivered since the start, ${behind} waiting${waits}`,
    ...(about.length === 0 ? [] : [about.join(", ")]),
    ...(trouble === undefined ? [] : [trouble]),
  ].join("\n          ");
}

const stateTexts: Partial<Record<PumpStatus["state"], string>> = {
  untried: "untried (nothing was there to send yet)",
};

/** What went over it, what of its quota is used, and who waits for it. */
function linkText({
  name,
  sentBytes,
  receivedBytes,
  bandwidth,
  quota,
  held,
}: Status["links"][number]): string {
  const cap = bandwidth === undefined ? "" : `, at most ${roughBytesText(bandwidth)} a second`;
  const used = quota === undefined ? "" : `; ${quotaText(quota)}`;
  const waiting = Object.entries(held).map(
    ([lane, why]) => `${lane} may not use it: ${heldTexts[why]}`,
  );
  const counts = `${name}: ${roughBytesText(sentBytes)} sent, ${roughBytesText(receivedBytes)} received${cap}${used}`;
  return [counts, ...waiting].join("\n          ");
}

function quotaText({
  period,
  usedBytes,
  bytes,
  configuredBytes,
}: NonNullable<Status["links"][number]["quota"]>): string {
  const of =
    configuredBytes === undefined
      ? ""
      : `, a budget in the place of ${roughBytesText(configuredBytes)}`;
  const named = period === "" ? "" : ` in ${period}`;
  return `${roughBytesText(usedBytes)} of ${roughBytesText(bytes)} used${named}${of}`;
}

const heldTexts: Readonly<Record<Held, string>> = {
  paused: "the uplink is paused",
  "outside-hours": "it is not one of its hours",
  "clock-untrusted": "the gateway's clock is not trusted",
  "quota-used": "the quota is used",
  gathering: "it is metered, and more is waited for",
  "others-first": "lanes before it send",
};
