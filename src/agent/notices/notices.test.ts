import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { configOf, sourceDefaults } from "../config/config.ts";
import type { Quarantined } from "../quarantined.ts";
import type { Notice } from "./notice.ts";
import { noticesOf } from "./notices.ts";
import type { Status } from "../status.ts";
import { tableReasons } from "./table-notices.ts";

const config = configOf({ agent: "a", dataDirectory: "/d", sources: [], seriesMax: 20 });

function found(
  changes: Partial<Status>,
  {
    unwantedTopic,
    quarantined,
  }: { readonly unwantedTopic?: string; readonly quarantined?: Quarantined } = {},
): readonly Notice[] {
  return noticesOf({ ...sampleStatus, ...changes }, { config, unwantedTopic, quarantined });
}

function messageOf(notices: readonly Notice[], code: string): string {
  const notice = notices.find((candidate) => candidate.code === code);
  assert.ok(notice !== undefined, `${code} is among ${JSON.stringify(notices)}`);
  return notice.message;
}

const { intake, log, cardinality } = sampleStatus;

test("a bound that refuses readings is named with its value", () => {
  const notices = found({
    intake: { ...intake, rejected: 7 },
    cardinality: { ...cardinality, series: 20 },
  });
  assert.match(messageOf(notices, "readings_rejected"), /^7 readings .* limits\.series is 20$/);
});

test("readings from the future are said with the bound of their source, and what to set", () => {
  const source = { ...sourceDefaults, name: "plant", topics: ["t/{device}"], futureMs: 90_000 };
  const quarantined = { readings: 2, source: "plant" };
  const [notice] = noticesOf(sampleStatus, {
    config: { ...config, sources: [source] },
    unwantedTopic: undefined,
    quarantined,
  }).filter(({ code }) => code === "readings_quarantined");
  assert.match(
    notice?.message ?? "",
    /^2 readings since the start .* source plant: .* 90s .*ahead of the clock here: set /,
  );
  assert.match(messageOf(found({}, { quarantined }), "readings_quarantined"), / 5m /);
});

test("a ceiling on memory is named where it refuses series, and where memory is short", () => {
  const ceiling = {
    ceilingBytes: 96 * 2 ** 20,
    from: "/sys/fs/cgroup/memory.max",
    roomBytes: 68 * 2 ** 20,
    seriesMax: 15,
    anonymousBytes: 70 * 2 ** 20,
    anonymousBytesPeak: 71 * 2 ** 20,
    level: "tight",
    flushes: 1,
    collections: 1,
  } as const;
  const memory = { ...sampleStatus.memory, ceiling };
  const refused = {
    intake: { ...intake, rejected: 7 },
    cardinality: { ...cardinality, series: 15 },
  };
  assert.match(
    messageOf(found({ ...refused, memory }), "readings_rejected"),
    /a ceiling of 96 MiB \(\/sys\/fs\/cgroup\/memory\.max\) has room for 15 series$/,
  );
  assert.ok(!found({ memory }).some(({ code }) => code === "memory_short"));
  const short = { ...memory, ceiling: { ...ceiling, level: "short" } } as const;
  assert.match(
    messageOf(found({ memory: short }), "memory_short"),
    /70 MiB are taken of the 68 MiB that a ceiling of 96 MiB .* new series, devices and texts are refused/,
  );
});

test("what the outbox dropped is said with its readings, and where they are told of", () => {
  const outboxDropped = { temp: { records: 5, readings: 50 }, spikes: { records: 2, readings: 0 } };
  const message = messageOf(found({ outboxDropped }), "outbox_dropped");
  assert.match(message, /^the outbox was full: 7 records with 50 readings .* gap records/);
  assert.ok(!found({ outboxDropped: {} }).some(({ code }) => code === "outbox_dropped"));
});

test("a quota that is used, hours without a clock and a link that is down are said with what follows", () => {
  const [link] = sampleStatus.links;
  assert.ok(link !== undefined);
  const quota = {
    period: "2026-11",
    usedBytes: 46e6,
    bytes: 50e6,
    configuredBytes: undefined,
    reserveBytes: 5e6,
  };
  const links = [
    { ...link, quota, held: { summaries: "quota-used" } },
    { ...link, name: "sat", held: { summaries: "clock-untrusted" } },
  ] as const;
  const notices = found({ links });
  const used = messageOf(notices, "link_quota_lte");
  assert.match(used, /44 MiB of 48 MiB are used in 2026-11: summaries wait .*quota\.bytes/);
  assert.match(messageOf(notices, "link_clock_sat"), /clock is not trusted/);
  assert.match(messageOf(notices, "link_down_file"), /over lte failed; no other link is left/);
  const [uplink] = sampleStatus.uplinks;
  assert.ok(uplink !== undefined);
  const up = [{ ...uplink, links: [{ link: "lte", isUp: true }] }];
  assert.ok(!found({ uplinks: up }).some(({ code }) => code.startsWith("link_")));
});

test("a pause and a budget are said, since when and until when, so that nobody forgets them", () => {
  const [uplink] = sampleStatus.uplinks;
  const [link] = sampleStatus.links;
  assert.ok(uplink !== undefined && link?.quota !== undefined);
  const since = Date.parse("2026-11-29T10:00:00Z");
  const said = (paused: NonNullable<typeof uplink.paused>): string =>
    messageOf(found({ uplinks: [{ ...uplink, paused }] }), "uplink_paused_file");
  assert.match(
    said({ since, until: undefined, leftMs: undefined }),
    /^uplink file is paused since 2026-11-29T10:00:00Z until it is resumed, .*alerts too; weir link resume file/,
  );
  assert.match(
    said({ since, until: since + 900_000, leftMs: 60_000 }),
    /paused since 2026-11-29T10:00:00Z until 2026-11-29T10:15:00Z,/,
  );
  assert.match(
    said({ since: undefined, until: undefined, leftMs: 59_100 }),
    /is paused for 1m more,/,
  );
  const quota = { ...link.quota, bytes: 80e6, configuredBytes: 50e6 };
  assert.match(
    messageOf(found({ links: [{ ...link, quota }] }), "link_budget_lte"),
    /a budget of 76 MiB in 2026-11, then 48 MiB again .*weir link budget lte/,
  );
  assert.ok(!found({}).some(({ code }) => /paused|budget/.test(code)));
});

test("a savepoint that waits too long is said with why and how old the last is, though nothing failed", () => {
  const last = { made: sampleStatus.clock.now - 7_200_000, number: 4, position: 9, bytes: 10 };
  const progress = { state: "sending", sentChunks: 2, chunks: 7, isLate: true } as const;
  const counts = { published: 5, failures: 0, trouble: undefined };
  const savepoints = { topic: "s", ...progress, last, ...counts };
  const message = messageOf(found({ savepoints }), "savepoint_not_sent");
  assert.match(message, /to s \(2 of 7 chunks are there, other records go first\); .* is 2h old/);
  const unnamed = { ...savepoints, state: "waiting", last: undefined } as const;
  const second = messageOf(found({ savepoints: unnamed }), "savepoint_not_sent");
  assert.match(second, /has not confirmed the agent's name\); none was sent since the start/);
  const calm = found({ savepoints: { ...savepoints, isLate: false } });
  assert.ok(!calm.some(({ code }) => code === "savepoint_not_sent"));
});

test("commands that are refused, expired or cannot be read are said with what to do", () => {
  const commands = {
    topic: "asks",
    state: "waiting",
    trouble: "the cluster has no topic asks: create it",
    taken: 3,
    refused: 1,
    elsewhere: 9,
    unreadable: 2,
    lastRefused: "asks at offset 7: it is no JSON object",
    gone: 5,
  } as const;
  const notices = found({ raw: { ...sampleStatus.raw, commands } });
  assert.match(messageOf(notices, "commands_trouble"), /what is sent goes on: .* create it/);
  const refused = messageOf(notices, "commands_refused");
  assert.match(refused, /^1 command refused and 2 unreadable since .* offset 7/);
  assert.match(messageOf(notices, "commands_gone"), /^5 records of asks expired .*retention\.ms/);
  const calm = { ...commands, trouble: undefined, refused: 0, unreadable: 0, gone: 0 };
  const { trouble: _, ...well } = calm;
  const none = found({ raw: { ...sampleStatus.raw, commands: { ...well, state: "reading" } } });
  assert.ok(!none.some(({ code }) => code.startsWith("commands_")));
});

test("a topic that no source takes is shown", () => {
  const notices = found({ intake: { ...intake, unwanted: 3 } }, { unwantedTopic: "shop/pres/x" });
  assert.match(messageOf(notices, "topics_unwanted"), /3 messages .* "shop\/pres\/x"/);
  const one = found({ intake: { ...intake, unwanted: 1 } }, { unwantedTopic: "shop/pres/x" });
  assert.match(messageOf(one, "topics_unwanted"), /^1 message since/);
});

test("damage says how many readings are lost and where", () => {
  const damage = { tornBytes: 0, lostRows: 61, places: ["log-1.seg at 19608"] };
  const notices = found({ log: { ...log, damage } });
  assert.match(messageOf(notices, "log_damaged"), /61 readings .*log-1\.seg at 19608/);
});

test("damaged tables are said with what is lost, and that nothing is to be done", () => {
  const message = messageOf(found({}), "tables_quarantined");
  assert.match(message, /^1 table with 100 readings .*nothing is to be done .*table-0000000002/);
  const damaged = [{ id: 3, reason: "/d/table-3: a block", readings: 9 }];
  const tables = { ...sampleStatus.tables, damaged, quarantined: [] };
  const notices = found({ tables });
  assert.match(messageOf(notices, "tables_damaged"), /a block/);
  assert.ok(!notices.some(({ code }) => code === "tables_quarantined"));
});

test("a disk that tables cannot be read from or written to is a reason to be degraded", () => {
  const unreadable = [{ id: 3, reason: "/d/table-3 (EIO)", readings: 9 }];
  const trouble = { code: "DISK_FULL", message: "there is no space" };
  const tables = { ...sampleStatus.tables, unreadable, trouble };
  const [full, unread] = tableReasons(tables);
  assert.deepEqual(full, { name: "disk_full", message: "there is no space" });
  assert.equal(unread?.name, "tables_unreadable");
  assert.match(unread.message, /9 readings .*table-3 \(EIO\)/);
  assert.deepEqual(tableReasons(sampleStatus.tables), []);
});

test("what did not happen is not mentioned", () => {
  const quiet = found({
    intake: { ...intake, rejected: 0, unwanted: 0 },
    log: { ...log, damage: { tornBytes: 0, lostRows: 0, places: [] } },
  });
  const codes = quiet.map(({ code }) => code);
  for (const code of [
    "readings_rejected",
    "readings_quarantined",
    "topics_unwanted",
    "log_damaged",
    "logins_refused",
  ]) {
    assert.ok(!codes.includes(code), `${code} is not among ${codes.join(", ")}`);
  }
});

test("failed logins, missing rights and a file of users that cannot be used are said", () => {
  const { counters } = sampleStatus.mqtt;
  assert.ok(counters !== undefined);
  const event = { number: 1, count: 1, firstAt: 0, lastAt: 0 };
  const notices = found({
    mqtt: {
      ...sampleStatus.mqtt,
      counters: { ...counters, publishesDenied: 2, willsDenied: 1, connectionsLimited: 5 },
      access: {
        problem: "the file of users /u is not there",
        failedLogins: { address: "10.0.0.9", count: 31 },
        audit: [
          { ...event, kind: "publish_denied", address: "10.0.0.1", user: "pump", topic: "a/b" },
          { ...event, kind: "login_failed", address: "10.0.0.9", user: "x", topic: "" },
        ],
      },
    },
  });
  assert.equal(
    messageOf(notices, "logins_failed"),
    "31 logins from 10.0.0.9 failed in the last 10 minutes",
  );
  assert.match(messageOf(notices, "rights_missing"), /^3 publishes.* by pump of "a\/b"/);
  assert.match(messageOf(notices, "connections_limited"), /^5 connections/);
  assert.equal(messageOf(notices, "users_file"), "the file of users /u is not there");
});

test("a bridge whose status is refused says which right is missing", () => {
  const [uplink] = sampleStatus.uplinks;
  assert.ok(uplink !== undefined);
  const alerts = { ...uplink.lanes.alerts, facts: { statusRefused: 2 } };
  const uplinks = [{ ...uplink, name: "mqtt:b:1883", lanes: { ...uplink.lanes, alerts } }];
  assert.match(
    messageOf(found({ uplinks }), "uplink_status_refused_mqtt:b:1883"),
    /refuses the status of this agent: let its user publish on topics\.status/,
  );
});
