import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../../core/faults.ts";
import { troubleOf } from "./table-trouble.ts";

function failure(code: string | number): Error {
  return Object.assign(new Error("it did not work"), { code });
}

test("what the store or the disk says has a code of its own", () => {
  const cases = [
    [failure("ENOSPC"), "DISK_FULL"],
    [failure("EDQUOT"), "DISK_FULL"],
    [failure("EROFS"), "DISK_READ_ONLY"],
    [failure("EIO"), "DISK_FAILED"],
    [new Fault("DISK_FULL", "", { cause: failure(5) }), "DISK_FULL"],
    [new Fault("STORE_FAILED", "", { facts: { bytesMax: 1 } }), "STATE_STORE_FULL"],
    [new Fault("STORE_FAILED", "", { cause: failure(30) }), "DISK_READ_ONLY"],
    [new Fault("STORE_FAILED", "", { cause: failure(5) }), "DISK_FAILED"],
    [new Fault("STORE_FAILED", "it is damaged"), "STORE_FAILED"],
  ] as const;
  for (const [error, code] of cases) assert.equal(troubleOf(error).code, code);
});

test("a bug is no trouble", () => {
  const bug = new TypeError("it is not a function");
  assert.throws(() => troubleOf(bug), bug);
});
