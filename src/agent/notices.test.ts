import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../test/support/agent-view.ts";
import { configOf } from "./config/config.ts";
import { type Notice, noticesOf } from "./notices.ts";
import type { Status } from "./status.ts";

const config = configOf({ agent: "a", dataDirectory: "/d", sources: [], seriesMax: 20 });

function found(changes: Partial<Status>, unwantedTopic?: string): readonly Notice[] {
  return noticesOf({ ...sampleStatus, ...changes }, { config, unwantedTopic });
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

test("a topic that no source takes is shown", () => {
  const notices = found({ intake: { ...intake, unwanted: 3 } }, "shop/pres/x");
  assert.match(messageOf(notices, "topics_unwanted"), /3 messages .* "shop\/pres\/x"/);
});

test("damage says how many readings are lost and where", () => {
  const damage = { tornBytes: 0, lostRows: 61, places: ["log-1.seg at 19608"] };
  const notices = found({ log: { ...log, damage } });
  assert.match(messageOf(notices, "log_damaged"), /61 readings .*log-1\.seg at 19608/);
});

test("what did not happen is not mentioned", () => {
  const quiet = found({
    intake: { ...intake, rejected: 0, unwanted: 0 },
    log: { ...log, damage: { tornBytes: 0, lostRows: 0, places: [] } },
  });
  const codes = quiet.map(({ code }) => code);
  for (const code of ["readings_rejected", "topics_unwanted", "log_damaged", "logins_refused"]) {
    assert.ok(!codes.includes(code), `${code} is not among ${codes.join(", ")}`);
  }
});
