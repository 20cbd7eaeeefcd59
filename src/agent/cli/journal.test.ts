import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import type { Notice } from "../notices/notice.ts";
import type { Status } from "../status.ts";
import { startJournal } from "./journal.ts";

test("an uplink is said when it is reached, in trouble and recovered, and old incidents as old", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const said: string[] = [];
  const incident = { code: "uplink_incident_file_alerts", message: "it was taken over" };
  let notices: readonly Notice[] = [incident];
  let status: Status = sampleStatus;
  const stop = startJournal(
    { status: () => status, notices: () => notices, securityEvents: () => [] },
    (event, facts) => said.push(`${event} ${Object.values(facts).join(" ")}`),
  );
  assert.deepEqual(said.splice(0), [
    "uplink file alerts running 1",
    "notice uplink_incident_file_alerts earlier: it was taken over",
  ]);
  notices = [incident, { code: "uplink_trouble_file_alerts", message: "offline" }];
  t.mock.timers.tick(1_000);
  assert.deepEqual(said.splice(0), ["notice uplink_trouble_file_alerts offline"]);
  notices = [incident];
  const [uplink] = sampleStatus.uplinks;
  const { summaries, ...others } = uplink!.lanes;
  const lanes = { ...others, summaries: { ...summaries, state: "running" as const } };
  status = { ...sampleStatus, uplinks: [{ ...uplink!, lanes }] };
  t.mock.timers.tick(1_000);
  assert.deepEqual(said.splice(0), [
    "uplink file summaries running 3",
    "recovered uplink_trouble_file_alerts",
  ]);
  t.mock.timers.tick(5_000);
  assert.deepEqual(said, []);
  stop();
});

test("a broker that was away and is back is said", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const said: string[] = [];
  let notices: readonly Notice[] = [{ code: "broker_away_site", message: "was not reached" }];
  const stop = startJournal(
    {
      status: () => ({ ...sampleStatus, uplinks: [] }),
      notices: () => notices,
      securityEvents: () => [],
    },
    (event, facts) => said.push(`${event} ${Object.values(facts).join(" ")}`),
  );
  notices = [];
  t.mock.timers.tick(1_000);
  assert.deepEqual(said, ["notice broker_away_site was not reached", "recovered broker_away_site"]);
  stop();
});
