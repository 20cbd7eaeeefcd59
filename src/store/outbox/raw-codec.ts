/**
 * Readings that were asked for, and the manifest that ends an answer, as they leave the gateway. Their ids
 * have six parts, as those of summaries have; documented in docs/format/records.md.
 *
 *   {"v":1,"kind":"raw","id":"gw1/raw/<request>/<part>/<first time>/<last time>","agent":"gw1",
 *    "request":..,"part":0,"source":..,"series":..,"readings":2,"times":[..],"values":[..]}
 *   {"v":1,"kind":"manifest","id":"gw1/raw/<request>/manifest/<from>/<to>","agent":"gw1","request":..,
 *    "select":[..],"from":..,"to":..,"outcome":"complete","parts":1,"readings":2,"digest":..,"series":[..]}
 *
 * A value is a number, or the text of a symbol. What JSON has no number for is text as well; `nonFinite`
 * has the indexes of these, so that the symbol "NaN" is none of them.
 */

import type { CoarserSpan, Manifest, Raw, RawOutcome, RawSeries } from "../../core/record.ts";
import { type Millis, millis } from "../../core/units.ts";
import {
  damaged,
  itemsOf,
  listOf,
  numberOf,
  objectOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../state/stored-json.ts";
import { jsonNumber, percentEncoded } from "./record-text.ts";

export const rawOutcomes: readonly RawOutcome[] = ["complete", "partial", "refused", "cancelled"];

/** The bytes, a new buffer. */
export function encodeRaw(agent: string, raw: Raw): Uint8Array {
  const { request, part, source, series, times, values, arrivalTimed, erased } = raw;
  const first = times[0] ?? 0;
  const last = times.at(-1) ?? 0;
  const nonFinite = values.flatMap((value, index) =>
    typeof value === "number" && !Number.isFinite(value) ? [index] : [],
  );
  const texts = values.map((value) =>
    typeof value === "number" ? jsonNumber(value) : JSON.stringify(value),
  );
  return bytesOf(
    `{"v":1,"kind":"raw","id":"${idOf(agent, request)}/${part}/${first}/${last}"` +
      `,"agent":${JSON.stringify(agent)},"request":${JSON.stringify(request)},"part":${part}` +
      `,"source":${JSON.stringify(source)},"series":${JSON.stringify(series)}` +
      `,"readings":${times.length},"times":[${times.join(",")}],"values":[${texts.join(",")}]` +
      (nonFinite.length === 0 ? "" : `,"nonFinite":[${nonFinite.join(",")}]`) +
      (arrivalTimed.length === 0 ? "" : `,"arrivalTimed":[${arrivalTimed.join(",")}]`) +
      (erased === undefined ? "}" : `,"erased":${erased}}`),
  );
}

/** The bytes, a new buffer. */
export function encodeManifest(agent: string, manifest: Manifest): Uint8Array {
  const { request, select, from, to, outcome, reason, parts, readings, digest } = manifest;
  const { series, coarser, damaged: isDamaged } = manifest;
  return bytesOf(
    `{"v":1,"kind":"manifest","id":"${idOf(agent, request)}/manifest/${from}/${to}"` +
      `,"agent":${JSON.stringify(agent)},"request":${JSON.stringify(request)}` +
      `,"select":${JSON.stringify(select)},"from":${from},"to":${to},"outcome":"${outcome}"` +
      (reason === "" ? "" : `,"reason":${JSON.stringify(reason)}`) +
      `,"parts":${parts},"readings":${readings},"digest":"${digest}"` +
      `,"series":${JSON.stringify(series)}` +
      (coarser.length === 0 ? "" : `,"coarser":${JSON.stringify(coarser)}`) +
      (isDamaged ? ',"damaged":true}' : "}"),
  );
}

function idOf(agent: string, request: string): string {
  return `${percentEncoded(agent)}/raw/${percentEncoded(request)}`;
}

function bytesOf(json: string): Uint8Array {
  return Buffer.from(json, "utf8");
}

/** Faults: STORE_FAILED. */
export function decodeRaw(stored: StoredObject): Raw {
  const { place } = stored;
  const times = numbersOf(stored, "times").map((time) => millis(time));
  const nonFinite = new Set("nonFinite" in stored.fields ? numbersOf(stored, "nonFinite") : []);
  const values = listOf(stored, "values").map((value, index) => {
    if (typeof value === "number") return value;
    if (typeof value !== "string")
      throw damaged(place, `value ${index} is neither number nor text`);
    return nonFinite.has(index) ? Number(value) : value;
  });
  if (values.length !== times.length) throw damaged(place, "it has other values than times");
  if (wholeOf(stored, "readings") !== times.length)
    throw damaged(place, "readings is another count");
  return {
    kind: "raw",
    request: textOf(stored, "request"),
    part: wholeOf(stored, "part"),
    source: textOf(stored, "source"),
    series: textOf(stored, "series"),
    times,
    values,
    arrivalTimed: "arrivalTimed" in stored.fields ? numbersOf(stored, "arrivalTimed") : [],
    ...("erased" in stored.fields ? { erased: wholeOf(stored, "erased") } : {}),
  };
}

/** Faults: STORE_FAILED. */
export function decodeManifest(stored: StoredObject): Manifest {
  const named = textOf(stored, "outcome");
  const outcome = rawOutcomes.find((known) => known === named);
  if (outcome === undefined) throw damaged(stored.place, `its outcome is ${named}`);
  return {
    kind: "manifest",
    request: textOf(stored, "request"),
    select: textsOf(stored, "select"),
    from: timeOf(stored, "from"),
    to: timeOf(stored, "to"),
    outcome,
    reason: "reason" in stored.fields ? textOf(stored, "reason") : "",
    parts: wholeOf(stored, "parts"),
    readings: wholeOf(stored, "readings"),
    digest: textOf(stored, "digest"),
    series: listOf(stored, "series").map((item) => seriesOf(objectOf(item, stored.place))),
    coarser: "coarser" in stored.fields ? coarserOf(stored) : [],
    damaged: stored.fields["damaged"] === true,
  };
}

/** Texts of a list. Faults: STORE_FAILED. */
export function textsOf(stored: StoredObject, name: string): readonly string[] {
  return listOf(stored, name).map((item) => {
    if (typeof item === "string") return item;
    throw damaged(stored.place, `${name} has something that is no text`);
  });
}

/** Spans under `coarser`. Faults: STORE_FAILED. */
export function coarserOf(stored: StoredObject): readonly CoarserSpan[] {
  return listOf(stored, "coarser").map((item) => {
    const span = objectOf(item, stored.place);
    const [from, to] = [numberOf(span, "from"), numberOf(span, "to")];
    return { from, to, finest: numberOf(span, "finest") };
  });
}

/** One of `series`. Faults: STORE_FAILED. */
function seriesOf(stored: StoredObject): RawSeries {
  return {
    source: textOf(stored, "source"),
    series: textOf(stored, "series"),
    readings: wholeOf(stored, "readings"),
    first: timeOf(stored, "first"),
    last: timeOf(stored, "last"),
  };
}

function timeOf(stored: StoredObject, name: string): Millis {
  return millis(numberOf(stored, name));
}

function numbersOf(stored: StoredObject, name: string): readonly number[] {
  const place = `${stored.place}, ${name}`;
  return itemsOf(stored.fields[name], place).map((item) => {
    if (typeof item === "number") return item;
    throw damaged(place, "it has something that is no number");
  });
}
