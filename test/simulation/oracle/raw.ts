/**
 * Raw readings that were asked for (docs/delivery.md). At each place, of each request:
 *
 *   P4  its parts are 0, 1, 2 and so on, each once, and its manifest once, behind them
 *   P3  the manifest counts what its parts have
 *   P9  every reading of it was sent, lies in the range, and is there once
 *   P1  every reading of the range that was acknowledged before anybody asked and is stored in the end is
 *       there: what expired by the configuration cannot be asked for
 *   P4  an alert that asks for itself has one request, and none is without its alert, as far as alerts were
 *       neither dropped nor more than may ask
 *   P7  no request is without a manifest, none is refused, and only what somebody gave up is cancelled
 */

import type { AskUse, Evidence, Place, Reading, Upstream, Violation } from "./evidence.ts";
import { checkNumbers } from "./once.ts";

/** `isWhole`: the medium gave back everything. */
export function checkRaw(
  evidence: Evidence,
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  const { asks, records } = evidence.raw;
  return evidence.places
    .filter((place) => place !== "replayed")
    .flatMap((place) => {
      const here = records.filter((read) => read.place === place);
      const byRequest = Map.groupBy(here, ({ record }) => String(record["request"]));
      const numbers = checkNumbers(here).map((what) => ({ promise: "P4", what: `raw: ${what}` }));
      const answers = asks.flatMap((ask) =>
        checkAnswer(evidence, ask, byRequest.get(ask.id) ?? [], { isWhole }),
      );
      const asked = new Set(asks.map(({ id }) => id));
      const strange = [...byRequest.keys()].filter((id) => !asked.has(id));
      const ofAlerts = checkAlerts(evidence, place, {
        isWhole,
        byRequest: new Map([...byRequest].filter(([id]) => isOfAlert(id))),
      });
      const strangers = strange
        .filter((id) => evidence.raw.around === undefined || !isOfAlert(id))
        .map((id) => ({ promise: "P4", what: `${id} is answered, and nobody asked` }));
      return [...numbers, ...strangers, ...answers, ...ofAlerts].map(({ promise, what }) => ({
        promise,
        what: `${what} (${place})`,
      }));
    });
}

/** As many as surely have their share. */
const alertsMax = 30;

function isOfAlert(id: string): boolean {
  return /^alert-\d+-[0-9a-f]{8}$/.test(id);
}

function checkAlerts(
  evidence: Evidence,
  place: Place,
  {
    byRequest,
    isWhole,
  }: { readonly byRequest: ReadonlyMap<string, readonly Upstream[]>; readonly isWhole: boolean },
): readonly Violation[] {
  const { around } = evidence.raw;
  if (around === undefined) return [];
  const found: Violation[] = [];
  const requests = new Map<string, number>();
  for (const [id, records] of byRequest) {
    const at = Number(id.split("-")[1]);
    const select = String(records.at(-1)?.record["select"]);
    const device = /[{,]device=([^,}]*)/.exec(select)?.[1];
    const moment = `${device} at ${at}`;
    requests.set(moment, (requests.get(moment) ?? 0) + 1);
    const [from, to] = [at - around.beforeMs, at + around.afterMs + 1];
    const ask: AskUse = { id, device, from, to, mayBeCancelled: false, firstTriedAt: undefined };
    found.push(...checkAnswer(evidence, ask, records, { isWhole }));
  }
  const lane = evidence.upstream.filter((read) => read.place === place && read.lane === "alerts");
  const raised = lane.filter(({ record }) => record["kind"] === "alert");
  if (!isWhole || raised.length < lane.length || raised.length > alertsMax) return found;
  const alerts = countsOf(
    raised.map(({ record }) => {
      const { device } = record["key"] as { readonly device: string };
      return `${device} at ${Math.trunc(Number(record["time"]))}`;
    }),
  );
  for (const moment of new Set([...alerts.keys(), ...requests.keys()])) {
    const [due, there] = [alerts.get(moment) ?? 0, requests.get(moment) ?? 0];
    if (due === there) continue;
    const what = `${there} requests of the ${due} alerts of ${moment}`;
    found.push({ promise: "P4", what });
  }
  return found;
}

function checkAnswer(
  evidence: Evidence,
  ask: AskUse,
  records: readonly Upstream[],
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  const found: Violation[] = [];
  const say = (promise: string, what: string): void => {
    found.push({ promise, what: `${ask.id}: ${what}` });
  };
  const parts = records.filter(({ record }) => record["kind"] === "raw");
  const manifests = records.filter(({ record }) => record["kind"] === "manifest");
  const wrong = parts.findIndex(({ record }, index) => record["part"] !== index);
  if (wrong >= 0) say("P4", `part ${String(parts[wrong]!.record["part"])} where ${wrong} is due`);
  if (manifests.length !== 1) say("P7", `${manifests.length} manifests`);
  const [manifest] = manifests;
  if (manifest === undefined) return found;
  if (records.at(-1) !== manifest) say("P4", "there is something behind its manifest");
  const outcome = String(manifest.record["outcome"]);
  const readings = parts.flatMap(({ record }) => readingsIn(record));
  if (
    manifest.record["parts"] !== parts.length ||
    manifest.record["readings"] !== readings.length
  ) {
    const { parts: saidParts, readings: saidReadings } = manifest.record;
    const said = `${String(saidParts)} parts and ${String(saidReadings)} readings`;
    say("P3", `${parts.length} parts and ${readings.length} readings, its manifest says ${said}`);
  }
  if (outcome === "refused" || (outcome === "cancelled" && !ask.mayBeCancelled)) {
    say("P7", `it is ${outcome}: ${String(manifest.record["reason"])}`);
  }
  const answered = countsOf(readings.map(keyOf));
  const sent = sentReadings(evidence);
  for (const reading of readings) {
    const { device, time } = reading;
    if (time < ask.from || time >= ask.to || (ask.device !== undefined && device !== ask.device)) {
      say("P9", `${keyOf(reading)} was not asked for`);
    }
    const known = sent.get(keyOf(reading)) ?? sent.get(keyOf({ ...reading, time: undefined }));
    if (known === undefined) say("P9", `${keyOf(reading)} was never sent`);
    else if (known.isOnce && answered.get(keyOf(reading)) !== 1) {
      say("P9", `${keyOf(reading)} is there ${answered.get(keyOf(reading))} times`);
    }
  }
  if (!isWhole || outcome === "cancelled" || ask.firstTriedAt === undefined) return found;
  for (const stored of evidence.stored[0]?.readings ?? []) {
    const { device, time } = stored;
    if (time < ask.from || time >= ask.to || (ask.device !== undefined && device !== ask.device)) {
      continue;
    }
    const key = keyOf(stored);
    const acknowledgedAt = sent.get(key)?.acknowledgedAt ?? Number.POSITIVE_INFINITY;
    if (acknowledgedAt >= ask.firstTriedAt || answered.has(key)) continue;
    say("P1", `${key} was acknowledged at ${acknowledgedAt} ms, asked for later, and is missing`);
  }
  return found;
}

type RawReading = {
  readonly device: string;
  readonly metric: string;
  readonly time: number;
  readonly value: number;
};

function readingsIn(record: Upstream["record"]): readonly RawReading[] {
  const name = String(record["series"]);
  const device = /[{,]device=([^,}]*)/.exec(name)?.[1] ?? "";
  const metric = name.slice(0, name.indexOf("{"));
  const times = record["times"] as readonly number[];
  const values = record["values"] as readonly number[];
  return times.map((time, index) => ({ device, metric, time, value: values[index]! }));
}

type Sent = Pick<Reading, "acknowledgedAt"> & { readonly isOnce: boolean };

/** Of each metric; those without a time of their own under their value alone. */
function sentReadings({ readings }: Evidence): ReadonlyMap<string, Sent> {
  const sent = new Map<string, Sent>();
  for (const { device, time, value, wobble, acknowledgedAt, isRecognisable } of readings) {
    const keys = [
      keyOf({ device, metric: time === undefined ? "n" : "v", time, value }),
      keyOf({ device, metric: "t", time, value: wobble }),
    ];
    for (const key of keys) {
      // A device that lost its memory may measure the same at the same time: then nothing is told by it.
      const isOnce = isRecognisable && time !== undefined && !sent.has(key);
      sent.set(key, { acknowledgedAt, isOnce });
    }
  }
  return sent;
}

function countsOf(keys: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

function keyOf({
  device,
  metric,
  time,
  value,
}: Omit<RawReading, "time"> & { readonly time: number | undefined }): string {
  return `${device} ${metric}@${time ?? "any"}=${value}`;
}
