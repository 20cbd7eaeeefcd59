import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../core/faults.ts";
import { troubleOf } from "../store/tables/table-trouble.ts";
import { degradedBy, diskTrouble } from "./degraded.ts";
import { tableReasons } from "./notices/table-notices.ts";

function failure(code: string | number): Error {
  return Object.assign(new Error("it did not work"), { code });
}

test("a failure is called by what the system said, however deep it lies", () => {
  const cases = [
    [new Fault("DISK_FAILED", "", { cause: failure("EROFS") }), "disk_read_only"],
    [new Fault("STORE_FAILED", "", { cause: failure(30) }), "disk_read_only"],
    [new Fault("LOG_POISONED", "", { cause: failure("EIO") }), "disk_failed"],
    [new Fault("DISK_FULL", "", { cause: failure("EDQUOT") }), "disk_full"],
    [new Fault("DISK_FULL", "", { cause: failure(5) }), "disk_full"],
    [failure("ENOSPC"), "disk_full"],
    [new Error("", { cause: failure("EIO") }), "disk_failed"],
  ] as const;
  for (const [error, name] of cases) assert.equal(degradedBy(error).name, name);
});

test("bounds of our own are not the disk's", () => {
  const logFull = new Fault("DISK_FULL", "the log has reached its limit", { facts: { files: 16 } });
  const storeFull = new Fault("STORE_FAILED", "it is full", { facts: { bytesMax: 1 } });
  assert.deepEqual(degradedBy(logFull), { name: "log_full", message: logFull.message });
  assert.equal(degradedBy(storeFull).name, "state_store_full");
  assert.equal(degradedBy(new Fault("OUTBOX_FULL", "")).name, "outbox_full");
  assert.equal(degradedBy(new Fault("LOG_CORRUPT", "")).name, "failed");
  for (const error of [logFull, storeFull, failure("EACCES"), failure("ENOENT")]) {
    assert.equal(diskTrouble(error), undefined);
  }
});

test("what the work on tables meets has the name it has in the loop", () => {
  const errors = [
    new Fault("DISK_FULL", "", { cause: failure("EDQUOT") }),
    new Fault("STORE_FAILED", "it is full", { facts: { bytesMax: 1 } }),
    new Fault("STORE_FAILED", "", { cause: failure(30) }),
    new Fault("STORE_FAILED", "", { cause: failure(5) }),
    new Fault("STORE_FAILED", "it is damaged"),
    failure("EROFS"),
    failure("EIO"),
    failure("ENOSPC"),
  ];
  for (const error of errors) {
    const [reason] = tableReasons({ trouble: troubleOf(error), unreadable: [] });
    assert.equal(reason?.name, degradedBy(error).name);
  }
});
