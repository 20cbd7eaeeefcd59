import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { newDisk } from "../../../test/support/log-rig.ts";
import { InvariantError } from "../../core/assert.ts";
import type { Disk } from "../../core/doors.ts";
import { SegmentPool } from "./segment-pool.ts";

const bounds = { directory: "/", segmentBytes: 4096, filesMax: 4, files: 0, nextNumber: 1 };

/** Says of every file that it is empty, as no disk does. */
function lying(disk: Disk): Disk {
  const open: Disk["open"] = async (path, options) => {
    const file = await disk.open(path, options);
    return { ...file, size: () => Promise.resolve(0) };
  };
  return { ...disk, open };
}

test("a failed disk is a fault, a broken invariant stays one", async () => {
  const disk = newDisk();
  const pool = new SegmentPool({ disk: lying(disk.mount()), ...bounds });
  await assert.rejects(pool.take(), InvariantError);
  disk.fate = ({ name }) => (name === "sync" ? "EIO" : undefined);
  await assert.rejects(pool.take(), { code: "DISK_FAILED" });
});

test("a bug while a file is prepared ahead ends the process", () => {
  const script = `
    import { SegmentPool } from "./src/store/log/segment-pool.ts";
    const disk = { freeBytes: () => Promise.reject(new TypeError("a bug")) };
    new SegmentPool({ disk, ...${JSON.stringify(bounds)} }).prepareAhead();`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal(status, 1);
  assert.match(stderr.toString(), /TypeError: a bug/);
});
