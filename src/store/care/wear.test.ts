import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import { wearKey } from "../state/kv-key.ts";
import { bytesPerDay, encodeWear, readWear, type Wear, wearAfter } from "./wear.ts";

const hour = 3_600_000;
const day = 24 * hour;
const start = 20_000 * day;

function look(before: Wear | undefined, bytes: number, now: number, bootId = "a"): Wear {
  return wearAfter(before, { device: "mmcblk0", bootId, bytes }, now);
}

test("what the counter grew by was written; what it stood at before is not counted", () => {
  const first = look(undefined, 5_000_000, start);
  const later = look(look(first, 5_001_000, start + hour), 5_004_000, start + day + hour);
  assert.equal(later.totalBytes, 4_000);
  assert.deepEqual(later.days, [
    [20_000, 1_000],
    [20_001, 3_000],
  ]);
  assert.equal(bytesPerDay(later), (4_000 * 24) / 25);
});

test("after a boot the counter begins at zero, however far it is by then", () => {
  const before = look(look(undefined, 1_000, start), 3_000, start + hour);
  assert.equal(look(before, 500, start + 2 * hour, "b").totalBytes, 2_500);
  assert.equal(look(before, 9_000, start + 2 * hour, "b").totalBytes, 11_000);
});

test("another device begins anew, and an hour says nothing of a day", () => {
  const before = look(look(undefined, 1_000, start), 3_000, start + hour);
  assert.equal(bytesPerDay(before), undefined);
  const other = wearAfter(before, { device: "sda", bootId: "a", bytes: 7 }, start + 2 * hour);
  assert.equal(other.totalBytes, 0);
});

test("old days go, and the rate is that of the days that are kept", () => {
  let wear = look(undefined, 0, start);
  const days = limits.wearDaysMax + 10;
  for (let n = 1; n <= days; n++)
    wear = look(wear, n <= 10 ? n * 9_000 : 80_000 + n * 1_000, start + n * day);
  assert.equal(wear.days.length, limits.wearDaysMax);
  assert.ok(Math.abs(bytesPerDay(wear)! - 1_000) < 50, `${bytesPerDay(wear)}`);
});

test("it is read as it was stored", () => {
  const wear = look(look(undefined, 1_000, start), 3_000, start + hour);
  const kv = { get: (key: string) => (key === wearKey ? encodeWear(wear) : undefined) };
  assert.deepEqual(readWear(kv), wear);
  assert.equal(readWear({ get: () => undefined }), undefined);
});
