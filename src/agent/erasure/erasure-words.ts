/**
 * Which dead letters may be about erased devices. Nobody could decode them, so it is decided by what
 * stands in them: the values of the tags that the devices were chosen by, as whole words of topic or
 * payload. Of a payload that was cut the rest is unknown: it counts as being about them.
 */

import type { Catalog } from "../../core/catalog.ts";
import type { SeriesId } from "../../core/units.ts";
import type { KeptDeadLetter } from "../../store/state/dead-letters.ts";

/** `tags`: names of the tags they were chosen by; none: all that the devices have. */
export function concernsDevicesOf(
  catalog: Catalog,
  series: readonly SeriesId[],
  tags: readonly string[],
): (letter: KeptDeadLetter) => boolean {
  const devices = new Set(series.map((id) => catalog.series(id).device));
  const wanted = [...devices].map((id) => {
    const device = catalog.device(id);
    const named = device.tags.filter(([name]) => tags.length === 0 || tags.includes(name));
    return { source: device.source, words: named.map(([, value]) => wordOf(value)) };
  });
  return ({ source, topic, payload, payloadBytes }) => {
    const text = `${topic}\n${Buffer.from(payload).toString("utf8")}`;
    return wanted.some(
      (device) =>
        device.source === source &&
        (payload.length < payloadBytes || device.words.every((word) => word.test(text))),
    );
  };
}

function wordOf(value: string): RegExp {
  return new RegExp(`(?<![\\p{L}\\p{N}])${RegExp.escape(value)}(?![\\p{L}\\p{N}])`, "u");
}
