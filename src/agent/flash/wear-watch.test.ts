import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { DeviceWrites } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { readWear } from "../../store/care/wear.ts";
import { enduranceOf, forecastOf } from "../cli/wear-text.ts";
import { readDeviceWrites } from "../doors/device-writes.ts";
import { WearWatch } from "./wear-watch.ts";

const day = 86_400_000;

test("the rate is kept across restarts, and says how long the card lasts", async () => {
  const kv = new KvMemory();
  let clock = new SimulatedClock(20_000 * day);
  let bytes = 7_000_000_000;
  const opened = async (): Promise<WearWatch> => {
    const { store } = await openStateStore(kv);
    const watch = new WearWatch({
      clock,
      store,
      clockNow: () => clock.now(),
      readDeviceWrites: (): Promise<DeviceWrites> => {
        return Promise.resolve({ device: "mmcblk0", bootId: "a", bytes });
      },
    });
    watch.start();
    return watch;
  };
  for (let hours = 0; hours < 48; hours += 6) {
    const watch = await opened();
    for (let hour = 0; hour < 6; hour++) {
      await clock.pass(limits.wearLookMs);
      bytes += 1_000_000_000;
    }
    await watch.close();
    clock = clock.kill();
  }
  const watch = await opened();
  await watch.close();
  const rate = watch.status?.bytesPerDay;
  assert.ok(rate !== undefined && Math.abs(rate - 24e9) < 1e9, `${rate}`);
  assert.equal(watch.status?.totalBytes, 48e9);
  const wear = readWear(kv);
  assert(wear !== undefined);
  const { yearsLeft } = forecastOf(wear, enduranceOf("117TB"));
  assert.ok(yearsLeft !== undefined && Math.abs(yearsLeft - 13.3) < 0.2, `${yearsLeft}`);
});

test("an endurance is a number with its unit", () => {
  assert.equal(enduranceOf("1.5TB"), 1.5e12);
  for (const text of ["117", "0TB", "117 TB", "-1TB", "lots"]) {
    assert.throws(() => enduranceOf(text), { name: "UsageError" });
  }
});

test("a device's counter only grows; what has no device gives none", async () => {
  const first = await readDeviceWrites(tmpdir());
  const later = await readDeviceWrites(tmpdir());
  assert.equal(later?.device, first?.device);
  assert.ok((later?.bytes ?? 0) >= (first?.bytes ?? 0));
  assert.equal(await readDeviceWrites("/proc"), undefined);
  assert.equal(await readDeviceWrites("/no/such/folder"), undefined);
});
