import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import type { DiskFile } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { patientDisk } from "./patient-disk.ts";

type Rig = { readonly disk: FaultDisk; readonly clock: SimulatedClock; readonly file: DiskFile };

async function rig(): Promise<Rig> {
  const disk = new FaultDisk(seededRandom(1));
  const clock = new SimulatedClock(0);
  const door = patientDisk(disk.mount(), clock);
  await door.makeDirectory("/d");
  const file = await door.open("/d/f", { create: true });
  await file.write(new Uint8Array([1, 2, 3]), 0);
  return { disk, clock, file };
}

/** How a read of the file went, and after how long. */
async function readIn({
  clock,
  file,
}: Rig): Promise<{ readonly how: string; readonly ms: number }> {
  const startedAt = clock.monotonic();
  let how = "";
  const target = new Uint8Array(3);
  file.read(target, 0).then(
    () => {
      how = target.join(",");
    },
    (error: unknown) => {
      how = String(error);
    },
  );
  while (how === "") await clock.pass(limits.diskReadRetryMs / 2);
  return { how, ms: clock.monotonic() - startedAt };
}

test("a medium that answers again in time gives back everything", async () => {
  const on = await rig();
  let failures = 4;
  on.disk.fate = ({ name }) => (name === "read" && failures-- > 0 ? "EIO" : undefined);
  assert.equal((await readIn(on)).how, "1,2,3");
});

test("a medium that is damaged costs the patience once, not for every read", async () => {
  const on = await rig();
  on.disk.fate = ({ name }) => (name === "read" ? "EIO" : undefined);
  const first = await readIn(on);
  assert.match(first.how, /EIO/);
  assert.ok(first.ms >= limits.diskPatienceMs, `${first.ms} ms`);
  const second = await readIn(on);
  assert.match(second.how, /EIO/);
  assert.ok(second.ms <= limits.diskReadRetryMs, `${second.ms} ms`);
});
