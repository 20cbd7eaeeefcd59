/** Queries through the real server, over a table store that was filled by hand. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { ask, plantRig, type QueryRig, start } from "../../../test/support/query-rig.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../core/batch.ts";
import { limits } from "../../core/limits.ts";
import { symbolId } from "../../core/units.ts";

type Answer = { readonly [name in string]: unknown } & {
  readonly end: { readonly [name in string]: unknown };
};

async function get(port: number, path: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  const body = await response.text();
  assert.equal(response.status, 200, body);
  return JSON.parse(body) as Answer;
}

async function refusal(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  assert.equal(response.status, 400, path);
  return String(((await response.json()) as { message: string }).message);
}

const minute = `from=${start}&to=${start + 60_000}`;
const p1 = { source: "plant", series: "temperature{device=p1,line=a}" };

test("series are listed by selector, with their latest reading, page by page", async (t) => {
  const port = await (await plantRig()).serve(t);
  const all = await get(port, "/v1/series");
  assert.deepEqual(all.end, { complete: true, rows: 6, series: 6 });
  const first = await get(port, "/v1/series?select=temp*%7Bline=a%7D&limit=1");
  assert.deepEqual(first["series"], [
    {
      ...p1,
      id: 0,
      metric: "temperature",
      tags: { device: "p1", line: "a" },
      time: start + 59_000,
      value: 59,
    },
  ]);
  assert.equal(first.end["next"], 0);
  const second = await get(port, "/v1/series?metric=temp*&tag.line=a&after=0&latest=0");
  assert.deepEqual(second["series"], [
    {
      source: "plant",
      series: "temperature{device=p2,line=a}",
      id: 2,
      metric: "temperature",
      tags: { device: "p2", line: "a" },
    },
  ]);
  assert.equal(second.end["next"], undefined);
});

test("readings are what was put, in memory and in tables, with what is known of them", async (t) => {
  const rig = await plantRig();
  await rig.tables.flush();
  for (const [id, text] of ["on", "öff"].entries()) {
    rig.catalog.define({ kind: "symbol", id: symbolId(2 + id), text });
  }
  const odd = [
    { value: 3, kind: KIND_SYMBOL },
    { value: Number.NaN, kind: KIND_ARRIVAL_TIME },
    { value: Number.NEGATIVE_INFINITY, kind: KIND_SEQUENCE, sequence: 7 },
    { value: -0 },
    { value: 99, kind: KIND_SYMBOL },
  ];
  rig.tables.put(odd.map((put, row) => ({ series: 1, time: start + row, ...put })));
  const port = await rig.serve(t);
  const told = await get(port, `/v1/readings?select=temperature%7Bdevice=p1%7D&${minute}`);
  assert.deepEqual(
    told["readings"],
    Array.from({ length: 60 }, (_, row) => ({ ...p1, time: start + row * 1_000, value: row })),
  );
  assert.deepEqual(told.end, { complete: true, rows: 60, series: 1 });
  const response = await fetch(
    `http://127.0.0.1:${port}/v1/readings?metric=mode&tag.device=p1&${minute}&format=ndjson`,
  );
  assert.equal(response.headers.get("content-type"), "application/x-ndjson; charset=utf-8");
  const head = '{"source":"plant","series":"mode{device=p1,line=a}"';
  assert.deepEqual((await response.text()).split("\n"), [
    `${head},"time":${start},"value":"öff"}`,
    `${head},"time":${start + 1},"value":"NaN","arrivalTimed":true}`,
    `${head},"time":${start + 2},"value":"-Infinity","sequence":7}`,
    `${head},"time":${start + 3},"value":-0}`,
    `${head},"time":${start + 4},"value":"symbol 99"}`,
    '{"end":{"complete":true,"rows":5,"series":1}}',
    "",
  ]);
});

test("a limit ends the readings, and the answer says that there are more", async (t) => {
  const port = await (await plantRig()).serve(t);
  const some = await get(port, `/v1/readings?metric=temperature&${minute}&limit=70&explain=1`);
  assert.deepEqual(some.end, {
    complete: false,
    rows: 70,
    series: 3,
    limited: true,
    cost: { tables: 0, blocks: 0, rows: 120 },
  });
  const all = await get(port, `/v1/readings?metric=temperature&${minute}&limit=180`);
  assert.deepEqual(all.end, { complete: true, rows: 180, series: 3 });
});

test("buckets of a step, with the aggregates that are asked for", async (t) => {
  const rig = await plantRig();
  await rig.tables.flush();
  rig.tables.put([{ series: 1, time: start, value: 1, kind: KIND_SYMBOL }]);
  const port = await rig.serve(t);
  const names = "variance,count,min,max,mean,sum";
  const path = `/v1/query?tag.device=p1&from=${start + 5}&to=${start + 39_000}&step=20s`;
  const { buckets, end } = await get(port, `${path}&aggregates=${names}&explain=1`);
  const bucket = (at: number): unknown => ({
    ...p1,
    start: start + at * 1_000,
    count: 20,
    min: at,
    max: at + 19,
    mean: at + 9.5,
    sum: 20 * at + 190,
    variance: 33.25,
  });
  assert.deepEqual(buckets, [
    bucket(0),
    bucket(20),
    { source: "plant", series: "mode{device=p1,line=a}", start, count: 1 },
  ]);
  assert.deepEqual(end, {
    complete: true,
    rows: 3,
    series: 2,
    from: start,
    to: start + 40_000,
    step: 20_000,
    cost: { tables: 1, blocks: 1, rows: 61 },
  });
  const chosen = await get(port, `/v1/query?tag.device=p1&${minute}&points=6`);
  assert.equal(chosen.end["step"], 10_000);
});

test("the latest reading of each series, and how many had any", async (t) => {
  const port = await (await plantRig()).serve(t);
  const { latest, end } = await get(port, "/v1/query?select=%7Bline=a%7D&latest=true");
  assert.deepEqual(latest, [
    { ...p1, time: start + 59_000, value: 59 },
    { ...p1, series: "temperature{device=p2,line=a}", time: start + 59_000, value: 59 },
  ]);
  assert.deepEqual(end, { complete: true, rows: 2, series: 4 });
  const devices = await get(port, `/v1/query?distinct=devices&${minute}`);
  assert.deepEqual(devices["distinct"], [{ of: "devices", count: 3 }]);
  const before = await get(port, `/v1/query?distinct=series&from=0&to=${start}`);
  assert.deepEqual(before["distinct"], [{ of: "series", count: 0 }]);
});

test("what is damaged is said with its table and time, and the rest is answered", async (t) => {
  const rig = await plantRig();
  await rig.tables.flush();
  const disk = rig.tables.disk.mount();
  const [name] = await disk.list("/tables");
  const file = await disk.open(`/tables/${name}`, { create: false });
  await file.write(new Uint8Array(await file.size()), 0);
  rig.tables.put([{ series: 0, time: start + 30_500, value: 7 }]);
  const port = await rig.serve(t);
  const { readings, end } = await get(port, `/v1/readings?metric=temperature&${minute}`);
  assert.deepEqual(readings, [{ ...p1, time: start + 30_500, value: 7 }]);
  const [damaged] = end["damaged"] as { readonly reason: string }[];
  assert.match(String(damaged?.reason), /does not end like a table/);
  assert.deepEqual(end, {
    complete: false,
    rows: 1,
    series: 3,
    damaged: [{ table: 0, from: start, to: start + 59_000, reason: damaged?.reason }],
    damagedReadings: 0,
  });
});

test("what is left only coarser is said with its time", async (t) => {
  const day = 86_400_000;
  const rig = await plantRig({ rowsMax: 20, policy: { mergeTablesMin: 1 } });
  rig.tables.policy = { ...rig.tables.policy, keepMs: new Map([[0, day]]) };
  await rig.tables.flush();
  await rig.tables.end("close");
  rig.tables.clockNow = start + 10 * day;
  await rig.tables.open();
  rig.tables.put([{ series: 0, time: start + 5 * day, value: 1 }]);
  await rig.tables.flush();
  const port = await rig.serve(t);
  const coarser = [{ from: start, to: start + 59_000, finest: 10_000 }];
  const readings = await get(port, `/v1/readings?tag.device=p1&${minute}`);
  assert.deepEqual(readings["readings"], []);
  assert.equal(readings.end["complete"], false);
  const [told] = readings.end["coarser"] as typeof coarser;
  assert.equal(told?.finest, 10_000);
  const buckets = await get(port, `/v1/query?tag.device=p1&${minute}&step=1m`);
  assert.equal(buckets.end["complete"], true);
  assert.equal((buckets["buckets"] as { count: number }[])[0]?.count, 60);
});

test("what is not understood is refused in a sentence that says what to do", async (t) => {
  const rig = await plantRig();
  const port = await rig.serve(t);
  const week = `from=${start}&to=${start + 7 * 86_400_000}`;
  for (const [path, message] of [
    ["/v1/readings?selct=a", /"selct" is not understood here: is it select\?/],
    ["/v1/readings?select=a%7B", /after 2 characters: .* is missing|tag's name is missing/],
    ["/v1/readings?from=yesterday", /from must be a time such as -7d/],
    ["/v1/readings?from=2&to=2", /from must be before to/],
    ["/v1/readings?order=desc", /order must be asc/],
    ["/v1/readings?select=a&metric=b", /either select, or metric/],
    ["/v1/query?step=10", /step must be a duration such as 10m, not "10"/],
    ["/v1/query?step=1m&points=3", /either step or points/],
    [`/v1/query?step=1s&${week}`, /into 604800 buckets, more than 10000: say step=2m/],
    ["/v1/query?aggregates=p99", /aggregates must be some of count,/],
    ["/v1/query?distinct=keys", /distinct must be devices or series/],
    ["/v1/series?limit=0", /limit must be a whole number from 1/],
    ["/v1/series?limit=1&limit=2", /limit is there twice/],
  ] as const) {
    assert.match(await refusal(port, path), message);
  }
  while (rig.catalog.seriesCount <= limits.querySeriesMax) {
    const device = `d${rig.catalog.deviceCount}`;
    rig.define("plant", [["device", device]], ["a", "b"]);
  }
  const count = rig.catalog.seriesCount;
  assert.match(
    await refusal(port, "/v1/query?latest=true"),
    new RegExp(
      `this selects ${count} series, more than ${limits.querySeriesMax}: narrow it by select`,
    ),
  );
  assert.equal(rig.queries.underWay.length, 0);
});

/** A rig of one long series, and a client that has asked for it but does not read. */
async function unread(
  rig: QueryRig,
  port: number,
): Promise<{ readonly socket: Awaited<ReturnType<typeof ask>>; readonly rows: number }> {
  const socket = await ask(port, `/v1/readings?tag.device=p1&from=0&to=${2 * start}`);
  socket.pause();
  let rows = -1;
  for (let quiet = 0; quiet < 300; quiet++) {
    const query = rig.queries.underWay[0];
    if (query === undefined && rig.queries.counters.opened > 0) {
      rows = Number.POSITIVE_INFINITY; // it ended: all was read
      break;
    }
    const now = query?.report.rows ?? 0;
    if (now !== rows || now === 0) quiet = 0;
    rows = now;
    await turn();
  }
  return { socket, rows };
}

const long = 600_000;

async function longRig(options: Parameters<typeof plantRig>[0] = {}): Promise<QueryRig> {
  const rig = await plantRig({ rowsMax: 2 * long, ...options });
  rig.fill(1, { count: long, everyMs: 100 });
  await rig.tables.flush();
  return rig;
}

test("a client that reads slowly is read for no faster, and gets everything", async (t) => {
  const rig = await longRig();
  const port = await rig.serve(t);
  const { socket, rows } = await unread(rig, port);
  assert.ok(rows < long / 2, `${rows} of ${long} rows were read for nobody`);
  let text = "";
  for await (const part of socket) text += String(part);
  assert.equal(text.match(/"time"/g)?.length, long + 60);
  assert.match(text, /"end":\{"complete":true,"rows":600060,"series":2\}/);
  assert.deepEqual(rig.queries.underWay, []);
});

test("a query that its client leaves ends, and lets go of files that were replaced", async (t) => {
  const rig = await longRig({ policy: { mergeTablesMin: 3 } });
  const port = await rig.serve(t);
  const { socket } = await unread(rig, port);
  for (const series of [2, 3]) {
    rig.fill(series, { count: 10 });
    await rig.tables.flush();
  }
  const names = (): Promise<readonly string[]> => rig.tables.disk.mount().list("/tables");
  assert.equal(rig.tables.store.status.tables, 1, "all are merged");
  assert.equal((await names()).length, 2, "the one that the query reads is still there");
  socket.destroy();
  await once(socket, "close");
  while (rig.queries.underWay.length > 0) await turn();
  await rig.tables.store.settle();
  assert.equal((await names()).length, 1);
  assert.equal(rig.queries.counters.abandoned, 1);
});

test("a query past its deadline ends with what it said so far", async (t) => {
  const clock = new SimulatedClock(start);
  const rig = await longRig({ clock });
  const port = await rig.serve(t);
  const { socket } = await unread(rig, port);
  await clock.pass(limits.queryMs);
  while (rig.queries.underWay.length > 0) await turn();
  let text = "";
  for await (const part of socket) text += String(part);
  assert.match(
    text,
    /"end":\{"complete":false,"rows":\d+,"error":"deadline","message":"this took longer than 60 s/,
  );
  assert.equal(rig.queries.counters.late, 1);
});

test("beyond so many at a time, a query is told to come later; closing ends all", async (t) => {
  const rig = await longRig();
  const port = await rig.serve(t);
  const sockets = [];
  for (let i = 0; i < limits.queriesMax; i++) {
    const socket = await ask(port, `/v1/readings?tag.device=p1&from=0&to=${2 * start}`);
    sockets.push(socket.pause());
  }
  while (rig.queries.underWay.length < limits.queriesMax) await turn();
  const response = await fetch(`http://127.0.0.1:${port}/v1/query?latest=true`);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get("retry-after"), "1");
  assert.match(
    String(((await response.json()) as { message: string }).message),
    /4 queries are under way/,
  );
  await rig.queries.close();
  assert.deepEqual(rig.queries.underWay, []);
  for (const socket of sockets) socket.destroy();
});
