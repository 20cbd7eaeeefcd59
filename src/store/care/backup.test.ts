import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { numberedFrame } from "../../../test/support/frames.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import type { Disk } from "../../core/doors.ts";
import { type Backup, type DataPlaces, makeBackup, readBackup } from "./backup.ts";
import { type KvImage, KvMemory } from "../state/kv-memory.ts";
import { openLog } from "../log/log.ts";
import { tablePath } from "../tables/listing/table-files.ts";
import { type ListedTable, swapWrites } from "../tables/listing/table-list.ts";
import { position } from "../../core/units.ts";

const placesIn = (directory: string): DataPlaces => ({
  log: `${directory}/log`,
  tables: `${directory}/tables`,
  state: `${directory}/state.mdb`,
});

function listed(id: number): ListedTable {
  const times = { timeFirst: 0, timeLast: 1 };
  return {
    id,
    level: 0,
    to: position(0),
    run: "main",
    class: undefined,
    partition: 0,
    bytes: 3,
    readings: 1,
    ...times,
    resolutions: [0],
  };
}

/** A data directory with two tables and a log; `move` makes it move on by replacing both tables. */
async function directory(): Promise<{
  readonly faults: FaultDisk;
  readonly disk: Disk;
  readonly move: () => Promise<void>;
  readonly backup: () => Promise<Backup>;
  readonly copiedState: () => KvMemory;
}> {
  const random = seededRandom(1);
  const faults = new FaultDisk(random);
  const disk = faults.mount();
  const from = placesIn("/data");
  const kv = new KvMemory();
  const head = { through: position(0), counts: { flushed: 2, expired: 0, erased: 0, lost: 0 } };
  const writeTable = async (id: number): Promise<void> => {
    const file = await disk.open(tablePath(from.tables, id), { create: true });
    await file.write(Uint8Array.of(id, id, id), 0);
    await file.close();
  };
  await disk.makeDirectory(from.tables);
  for (const id of [0, 1]) await writeTable(id);
  await kv.commit([
    ...swapWrites({ head: { ...head, next: 2 }, added: [listed(0), listed(1)], removed: [] }),
  ]);
  const options = { directory: from.log, segmentBytes: 64 * 1024, bytesMax: 1_000_000, random };
  const { log } = await openLog(disk, options);
  await log.append(numberedFrame(1, 20));
  const images = new Map<string, KvImage>();
  return {
    faults,
    disk,
    move: async () => {
      await writeTable(2);
      const removed = [listed(0), listed(1)];
      await kv.commit([...swapWrites({ head: { ...head, next: 3 }, added: [listed(2)], removed })]);
      for (const id of [0, 1]) await disk.remove(tablePath(from.tables, id));
    },
    backup: () =>
      makeBackup({
        disk,
        source: disk,
        target: "/backup",
        from,
        placesIn,
        copyState: async (_, to) => {
          images.set(to, kv.image());
          await (await disk.open(to, { create: true })).close();
        },
        openState: (path) => new KvMemory({ image: images.get(path) ?? new Map() }),
        weir: "1.0.0",
        created: 5,
      }),
    copiedState: () => new KvMemory({ image: images.get("/backup/state.mdb") ?? new Map() }),
  };
}

function tablesOf({ files }: Backup): readonly string[] {
  return files.map(({ name }) => name).filter((name) => name.startsWith("tables/"));
}

test("a backup names every file with its bytes and its checksum", async () => {
  const { disk, backup } = await directory();
  const made = await backup();
  assert.deepEqual(await readBackup(disk, "/backup"), made);
  assert.deepEqual(tablesOf(made), ["tables/table-0000000000.tbl", "tables/table-0000000001.tbl"]);
  assert.equal(made.files.filter(({ name }) => name.startsWith("log/")).length, 1);
});

test("tables that are replaced while they are copied: it begins again with the newer list", async () => {
  const { faults, backup, move, copiedState } = await directory();
  let copied = 0;
  faults.fate = ({ name, path }) => {
    if (name !== "open" || !path.startsWith("/data/tables") || copied++ !== 1) return undefined;
    faults.fate = () => undefined;
    return move();
  };
  const made = await backup();
  assert.deepEqual(tablesOf(made), ["tables/table-0000000002.tbl"]);
  assert.equal(copiedState().range({ from: "table/", to: "table0" }).length, 1);
  assert.deepEqual(
    faults.paths().filter((path) => path.startsWith("/backup/tables")),
    ["/backup/tables/table-0000000002.tbl"],
    "nothing of the first try is left",
  );
});

test("a segment that is recycled while the log is copied is noticed", async () => {
  const { faults, disk, backup } = await directory();
  const [segment = ""] = (await disk.list("/data/log")).toSorted();
  let reads = 0;
  faults.fate = ({ name, path }) => {
    if (name !== "read" || !path.startsWith("/data/log") || reads++ !== 1) return undefined;
    faults.fate = () => undefined;
    return disk.rename(`/data/log/${segment}`, "/data/log/log-0000000099.seg");
  };
  const made = await backup();
  const logs = made.files.filter(({ name }) => name.startsWith("log/"));
  assert.deepEqual(logs, [], "what was recycled holds nothing any more");
});

test("a directory that never holds still is given up with a sentence", async () => {
  const { faults, backup } = await directory();
  faults.fate = ({ name, path }) =>
    name === "open" && path.startsWith("/data/tables") ? "ENOENT" : undefined;
  await assert.rejects(backup(), { code: "STORE_FAILED", message: /changed 5 times/ });
});

test("a folder whose copy was not finished is no backup", async () => {
  const { faults, disk, backup } = await directory();
  faults.fate = ({ name, path }) =>
    name === "write" && path.startsWith("/backup/log") ? "EIO" : undefined;
  await assert.rejects(backup(), { code: "EIO" });
  await assert.rejects(readBackup(disk, "/backup"), { code: "INPUT_INVALID" });
});
