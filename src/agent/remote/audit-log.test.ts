import assert from "node:assert/strict";
import { test } from "node:test";
import { diskOf } from "../../../test/support/remote-process.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import { AuditLog } from "./audit-log.ts";

test("refusals push no decision out of the audit log", async () => {
  const disk = diskOf(1);
  const clock = new SimulatedClock(1_796_000_000_000);
  const log = new AuditLog({ disk: disk.mount(), clock, path: "/data/remote/audit.ndjson" });
  await log.note({ kind: "accepted", digest: "a", version: 1 });
  await log.note({ kind: "proven", digest: "a", version: 1 });
  await log.note({ kind: "rolled_back", digest: "b", version: 2 });
  for (let at = 3; at < limits.remoteAuditDecidedMax; at++) {
    await log.note({ kind: "accepted", digest: String(at), version: at });
  }
  const decisions = log.entries;
  for (let at = 0; at < 2 * limits.remoteAuditRefusedMax; at++) {
    await clock.pass(10_000);
    await log.note({ kind: "refused", code: "malformed", digest: String(at) });
  }
  assert.deepEqual(log.entries.slice(0, limits.remoteAuditDecidedMax), decisions);
  assert.equal(log.entries.length, decisions.length + limits.remoteAuditRefusedMax);
  for (let at = 0; at < 2 * limits.remoteAuditDecidedMax; at++) {
    await log.note({ kind: "unusable", digest: String(at) });
  }
  const kinds = log.entries.map(({ kind }) => kind);
  assert.equal(kinds.length, limits.remoteAuditDecidedMax + limits.remoteAuditRefusedMax);
  assert.deepEqual(kinds.slice(0, 4), ["proven", "rolled_back", "accepted", "refused"]);
  const again = new AuditLog({ disk: disk.mount(), clock, path: "/data/remote/audit.ndjson" });
  await again.open();
  assert.deepEqual(again.entries, log.entries);
});
