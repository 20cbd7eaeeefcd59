import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Config, storeDefaults } from "./config.ts";
import { explain } from "./explain.ts";
import { type ParsedConfig, parseConfig } from "./parse.ts";
import { durationText } from "./quantity.ts";

const source = "version: 1\nsources: [{ name: s, topics: ['a/{b}'] }]\n";

function parse(rest: string): Promise<ParsedConfig> {
  return parseConfig(`${source}${rest}\n`, {
    file: "weir.yaml",
    cwd: "/etc/weir",
    env: { KEEP: "7d" },
    readFile: () => assert.fail("no file is read"),
  });
}

async function configOf(rest: string): Promise<Config> {
  const parsed = await parse(rest);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

/** `line:column: path: message` of each. */
async function faultsOf(rest: string): Promise<string[]> {
  const parsed = await parse(rest);
  assert.ok(parsed.kind === "faults", `${rest} is taken`);
  return parsed.faults.map(({ text }) => text.replace("weir.yaml:", ""));
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test("without a section everything is kept until the budget is used up", async () => {
  const { store } = await configOf("");
  assert.deepEqual(store, {
    budgetBytes: 8 * 1_073_741_824,
    freeBytes: 512 * 1_048_576,
    whenOutboxFull: "drop",
    tiers: [10 * second, minute, 10 * minute, hour, day],
    keepMs: new Map(),
    classes: [],
  });
  assert.deepEqual(store, storeDefaults);
});

test("what is set arrives in bytes and milliseconds", async () => {
  const { store } = await configOf(`store:
  budget: 1.5GiB
  freeSpace: 0B
  tiers: [1s, 30s, 1h, 7d]
  keep: { readings: "\${KEEP}", 1s: 7d, 30s: 1500d, 3600s: 3660d, 7d: forever }`);
  assert.deepEqual(store, {
    budgetBytes: 1.5 * 1_073_741_824,
    freeBytes: 0,
    whenOutboxFull: "drop",
    tiers: [second, 30 * second, hour, 7 * day],
    keepMs: new Map([
      [0, 7 * day],
      [second, 7 * day],
      [30 * second, 1_500 * day],
      [hour, 3_660 * day],
    ]),
    classes: [],
  });
});

test("what keep does not name is kept as the next coarser tier that it names, else for ever", async () => {
  const { store } = await configOf("store: { keep: { readings: 30d, 1m: 365d } }");
  const named = { readings: 30 * day, minute: 365 * day };
  assert.deepEqual(
    [...store.keepMs],
    [
      [0, named.readings],
      [10 * second, named.minute],
      [minute, named.minute],
    ],
  );
  const { store: bounded } = await configOf("store: { keep: { 10m: 40d } }");
  assert.deepEqual([...bounded.keepMs.values()], [40 * day, 40 * day, 40 * day, 40 * day]);
  const { store: endless } = await configOf("store: { keep: { readings: forever } }");
  assert.equal(endless.keepMs.size, 0);
});

test("a cap on writes, and how long readings may wait for it", async () => {
  const { store, commit } = await configOf("store: { writesPerDay: 2GB }\ncommit: { waitMax: 3s }");
  assert.deepEqual([store.writesPerDay, commit.waitMsMax], [2e9, 3_000]);
  assert.match(
    explain(await configOf("store: { writesPerDay: 2GB }")),
    /writes +at most 1.9 GiB a day/,
  );
  assert.deepEqual(await faultsOf("commit: { latency: low, waitMax: 3s }"), [
    "3:34: commit.waitMax: latency: low does not wait; remove one of the two",
  ]);
  assert.deepEqual(await faultsOf("commit: { waitMax: 100ms }"), [
    "3:20: commit.waitMax: readings wait 200ms already: commit.wait",
  ]);
});

test("a cap on writes where readings do not wait for each other is told, with the place", async () => {
  for (const commit of ["wait: 0s", "latency: low"]) {
    const parsed = await parse(`store: { writesPerDay: 2GB }\ncommit: { ${commit} }`);
    assert.ok(parsed.kind === "config", JSON.stringify(parsed));
    assert.equal(
      parsed.warnings.find((text) => text.includes("writesPerDay")),
      `weir.yaml:3:24: store.writesPerDay: readings do not wait for each other (commit.${commit}), so it only makes results and checkpoints rarer; set commit.wait to 1ms or more, or remove it`,
    );
    assert.match(explain(parsed.config), /near that only results and checkpoints become rarer/);
  }
  const waits = await parse("store: { writesPerDay: 2GB }\ncommit: { wait: 1ms }");
  assert.ok(waits.kind === "config");
  assert.doesNotMatch(waits.warnings.join("\n"), /writesPerDay/);
  assert.deepEqual(await faultsOf("commit: { wait: 0s, waitMax: 3s }"), [
    "3:30: commit.waitMax: wait: 0s does not wait; remove one of the two",
  ]);
});

test("a budget too small for log, state and tables is refused with the sum", async () => {
  assert.deepEqual(await faultsOf("store:\n  budget: 400MiB"), [
    "4:11: store.budget: store.budget, 400MiB, cannot hold 256MiB of log (limits.log), 128MiB of state, 48MiB of reserve and 64MiB of tables: set it to 496MiB at least, or make the log smaller",
  ]);
  assert.equal((await configOf("store: { budget: 496MiB }")).store.budgetBytes, 496 * 1_048_576);
  await configOf("store: { budget: 448MiB }\nlimits: { log: 208MiB }");
  const [fault] = await faultsOf("limits:\n  log: 9GiB");
  assert.match(fault ?? "", /^4:8: limits\.log: store\.budget, 8GiB, cannot hold 9GiB of log /);
  await configOf("limits: { log: 9GiB }\nstore: { budget: 10GiB }");
});

test("the outbox has the bound that is set, and a budget has to hold twice that", async () => {
  const { store } = await configOf("store: { outbox: 64MiB }");
  assert.equal(store.outboxBytes, 64 * 1_048_576);
  assert.match((await faultsOf("store: { outbox: 1KiB }"))[0] ?? "", /from 1MiB to 512MiB/);
  assert.deepEqual(await faultsOf("store:\n  budget: 600MiB\n  outbox: 200MiB"), [
    "4:11: store.budget: store.budget, 600MiB, cannot hold 256MiB of log (limits.log), 400MiB of state (twice store.outbox), 48MiB of reserve and 64MiB of tables: set it to 768MiB at least, or make the log smaller",
  ]);
  assert.match(
    explain(await configOf("store: { budget: 768MiB, outbox: 200MiB }")),
    /outbox +at most 200MiB of summaries and alerts wait for the uplinks, merged into coarser ones as it fills up; when it is full the oldest are dropped\n/,
  );
  const waits = await configOf("store: { whenOutboxFull: wait }");
  assert.equal(waits.store.whenOutboxFull, "wait");
  assert.match(explain(waits), /when it is full no reading is acknowledged\n/);
  assert.match(
    explain(await configOf("store: { tiers: [] }")),
    /outbox +at most 512MiB .* uplinks; when/,
  );
});

test("each tier is a multiple of the one before", async () => {
  const faultOf = async (tiers: string): Promise<string[]> =>
    (await faultsOf(`store:\n  tiers: ${tiers}`)).map((text) => text.replace(/^4:\d+: /, ""));
  assert.deepEqual(await faultOf("[10s, 1m, 90s, 1h]"), [
    "store.tiers[2]: 90s is no multiple of the one before, 1m",
  ]);
  assert.deepEqual(await faultOf("[10s, 60s, 1m]"), [
    "store.tiers[2]: 1m is the one before already, 1m",
  ]);
  assert.deepEqual(await faultOf("[1h, 1m]"), [
    "store.tiers[1]: 1m is finer than the one before, 1h",
  ]);
  assert.match((await faultOf("[100ms]"))[0] ?? "", /^store\.tiers\[0\]: .* from 1s to 31d, found/);
  assert.match((await faultOf("[32d]"))[0] ?? "", /from 1s to 31d/);
  assert.match(
    (await faultOf("[1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s]"))[0] ?? "",
    /^store\.tiers: expected a list of at most 8/,
  );
  const none = await configOf("store: { tiers: [], keep: { readings: 2d } }");
  assert.deepEqual(none.store.tiers, []);
});

test("a key of keep is readings or one of the tiers, once", async () => {
  assert.deepEqual(
    await faultsOf(`store:
  keep:
    raedings: 30d
    10sec: 30d
    5m: 30d
    0s: 30d
    1m: 60d
    60s: 60d`),
    [
      '5:5: store.keep.raedings: unknown key; did you mean "readings"?',
      "6:5: store.keep.10sec: unknown key; known are readings, 10s, 1m, 10m, 1h, 1d",
      "7:5: store.keep.5m: 5m is none of the tiers; they are 10s, 1m, 10m, 1h, 1d",
      '8:5: store.keep.0s: unknown key; did you mean "10s"?',
      "10:5: store.keep.60s: is the tier of 1m already",
    ],
  );
  const [none] = await faultsOf("store: { tiers: [], keep: { 1m: 1d } }");
  assert.match(none ?? "", /store\.keep\.1m: 1m is none of the tiers; there are none$/);
});

test("a coarser tier is kept at least as long as a finer one, and as one of its rows", async () => {
  assert.deepEqual(await faultsOf("store:\n  keep: { 1h: 7d, readings: 30d }"), [
    "4:15: store.keep.1h: 1h for 7d is shorter than readings for 30d: what is coarser is kept at least as long as what is finer",
  ]);
  assert.deepEqual(await faultsOf("store:\n  keep: { 10s: forever, 1h: 7d }"), [
    "4:29: store.keep.1h: 1h for 7d is shorter than 10s for ever: what is coarser is kept at least as long as what is finer",
  ]);
  assert.deepEqual(await faultsOf("store:\n  keep: { 1d: 12h }"), [
    "4:15: store.keep.1d: a row of 1d is longer than the 12h for which it would be kept",
  ]);
});

test("a time of keep is forever or a duration of up to ten years", async () => {
  const [fault] = await faultsOf("store: { keep: { readings: always } }");
  assert.match(
    fault ?? "",
    /store\.keep\.readings: expected forever, or a duration such as .*, from 1s to 3660d, found "always"$/,
  );
  for (const time of ["3661d", "0s", "30", "[]"]) {
    const [wrong] = await faultsOf(`store: { keep: { readings: ${time} } }`);
    assert.match(wrong ?? "", /store\.keep\.readings: expected /, time);
  }
  assert.match((await faultsOf("store: { keep: 30d }"))[0] ?? "", /expected a section of keys/);
});

const vibration =
  "{ name: vibration, match: 'vibration{site=*}', keep: { readings: 2d, 1m: 90d } }";

test("a class has its own times and priority; without them those of the store", async () => {
  const { store } = await configOf(
    `store: { keep: { readings: 9d }, classes: [${vibration}, { name: p, match: 'p*', priority: 2 }] }`,
  );
  assert.deepEqual(
    store.classes.map(({ name, where, keepMs, priority }) => [
      name,
      where.metrics,
      where.tags,
      [...keepMs.values()],
      priority,
    ]),
    [
      ["vibration", ["vibration"], { site: "*" }, [2 * day, 90 * day, 90 * day], 0],
      ["p", ["p*"], {}, [9 * day], 2],
    ],
  );
  const text = explain(await configOf(`store: { classes: [${vibration}] }`));
  assert.match(
    text,
    /class +vibration, vibration\{site=\*\}: readings for 2d; 10s, 1m for 90d; 10m, 1h, 1d until/,
  );
});

test("a class that can have no series, or has the name of another, is a mistake", async () => {
  const faults = async (...classes: readonly string[]): Promise<string[]> =>
    (await faultsOf(`store: { classes: [${classes.join(", ")}] }`)).map((text) =>
      text.replace(/^[\d:]+ /, ""),
    );
  const of = (name: string, match: string): string => `{ name: ${name}, match: '${match}' }`;
  assert.deepEqual(await faults(of("a", "x"), of("a", "y")), [
    'store.classes[1].name: "a" is the name of store.classes[0] already',
  ]);
  const unreached = (index: number): string =>
    `store.classes[${index}].match: nothing is left for it: a, before it, takes all of its series; put it in front`;
  const covered: readonly (readonly [string, string])[] = [
    ["x", "x"],
    ["v*", "vi*n{site=a}"],
    ["*{site=*}", "v{line=2,site=b*}"],
    ["{site=*}", "{site=*}"],
  ];
  for (const [wide, narrow] of covered) {
    assert.deepEqual(await faults(of("a", wide), of("b", narrow)), [unreached(1)], narrow);
  }
  const apart: readonly (readonly [string, string])[] = [
    ["vi*", "v*"],
    ["v{site=*}", "v"],
    ["v{site=a*}", "v{site=*a}"],
  ];
  for (const [first, second] of apart) {
    const { store } = await configOf(`store: { classes: [${of("a", first)}, ${of("b", second)}] }`);
    assert.equal(store.classes.length, 2);
  }
  assert.match(
    (await faults(of("a", "x{")))[0] ?? "",
    /^store\.classes\[0\]\.match: selector "x\{"/,
  );
  assert.match(
    (await faults("{ name: a, match: x, keep: { 5m: 1d } }"))[0] ?? "",
    /^store\.classes\[0\]\.keep\.5m: 5m is none of the tiers/,
  );
});

test("an unknown key is an error with the nearest known one, beside what is wrong elsewhere", async () => {
  assert.deepEqual(await faultsOf("store: { bugdet: 8GiB }\nlimits: { log: 9GiB }"), [
    '3:10: store.bugdet: unknown key; did you mean "budget"?',
  ]);
  const both = await faultsOf("store: { tiers: [1h, 1m] }\nagnet: a");
  assert.deepEqual(
    both.map((text) => text.split(" ")[1]),
    ["store.tiers[1]:", "agnet:"],
  );
});

test("whatever is taken keeps coarser tiers at least as long as finer ones", async () => {
  const tiers = fc
    .array(fc.integer({ min: 2, max: 6 }), { minLength: 1, maxLength: 7 })
    .map((factors) =>
      factors.reduce((list, factor) => [...list, (list.at(-1) ?? second) * factor], [second]),
    );
  const times = fc.array(fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }), {
    minLength: 9,
    maxLength: 9,
  });
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(tiers, times, fc.boolean(), async (list, days, sorted) => {
      const named = [0, ...list].flatMap((tier, index) => {
        const time = days[index];
        return time === undefined ? [] : [{ tier, time }];
      });
      const order = named.map(({ time }) => time);
      if (sorted) order.sort((a, b) => a - b);
      const keep = named.map(
        ({ tier }, index) => `${tier === 0 ? "readings" : durationText(tier)}: ${order[index]}d`,
      );
      const parsed = await parse(
        `store: { tiers: [${list.map(durationText).join(", ")}], keep: { ${keep.join(", ")} } }`,
      );
      const ascends = order.every((time, index) => index === 0 || time >= order[index - 1]!);
      const fits = named.every(({ tier }, index) => order[index]! * day >= tier);
      assert.equal(parsed.kind === "config", ascends && fits, JSON.stringify(parsed));
      if (parsed.kind !== "config") return;
      taken++;
      const { keepMs } = parsed.config.store;
      const kept = [0, ...list].map((tier) => keepMs.get(tier) ?? Number.POSITIVE_INFINITY);
      assert.ok(kept.every((time, index) => index === 0 || time >= kept[index - 1]!));
      for (const [index, { tier }] of named.entries()) {
        assert.equal(keepMs.get(tier), order[index]! * day);
      }
    }),
    { numRuns: 100 },
  );
  assert.ok(taken > 20, `${taken} of 100 were taken`);
});

test("weir check says what is kept how long, what goes first, and how far the budget reaches", async () => {
  const explained = async (store: string): Promise<string> =>
    explain(await configOf(`store: ${store}`));
  const some = await explained("{ freeSpace: 0B, keep: { readings: 30d, 1m: 365d } }");
  assert.match(
    some,
    /budget +at most 8GiB, log and state among it; nothing of the disk is left free\n/,
  );
  assert.match(
    some,
    /kept +readings for 30d; 10s, 1m for 365d; 10m, 1h, 1d until the budget is used up\n/,
  );
  assert.match(
    some,
    /used up +the oldest readings go first and stay as 10s, then 1m, 10m, 1h, 1d\n/,
  );
  const none = await explained("{ tiers: [], keep: { readings: 3660d }, budget: 496MiB }");
  assert.match(none, /used up +the oldest readings go\n/);
  assert.match(none, /not even one can keep their readings/);
});

test("the estimate is the budget beside log and state, by what a series at 1 Hz takes", async () => {
  // 1.8 B a reading and no tiers: 86,400 s take 151.9 KiB.
  const text = async (rest: string): Promise<string> => explain(await configOf(rest));
  const plain = (budget: string) =>
    `store: { tiers: [], budget: ${budget}, keep: { readings: 30d } }`;
  assert.match(
    await text(plain("8GiB")),
    /a series at 1 Hz takes about 152 KiB a day; about 1500 of them keep their readings for the whole 30d\n/,
  );
  assert.equal(Math.floor(((8_192 - 256 - 1_024 - 48) * 1_048_576) / (1.8 * 86_400 * 30)), 1_542);
  assert.match(await text(plain("16GiB")), /about 3300 of them/);
  // 15 % more for the default tiers, and more again where they are kept for longer.
  const tiers = (keep: string) => `store: { keep: { readings: 30d${keep} } }`;
  assert.match(await text(tiers("")), /175 KiB a day; about 1300 of them .*30d, fewer as the rows/);
  assert.match(
    await text(tiers(", 1d: 30d")),
    /about 1300 of them keep their readings for the whole 30d\n/,
  );
  assert.match(await text(tiers(", 10s: 300d, 1d: 300d")), /about 610 of them [^,]*30d\n/);
  assert.match(await text(""), /100 of them use up the budget in about 400d\n/);
});
