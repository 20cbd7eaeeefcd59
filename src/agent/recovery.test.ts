/** What a start refuses, and that it then lets go of everything it had opened. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { numberedFrame } from "../../test/support/frames.ts";
import { tablePolicy } from "../../test/support/table-rig.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { Catalog } from "../core/catalog.ts";
import { Fault } from "../core/faults.ts";
import type { Definition, Frame } from "../core/frame.ts";
import { position, sourceId } from "../core/units.ts";
import { createDataflow, emptySpec } from "../edge-ops/dataflow.ts";
import type { Checkpoint } from "../store/state/checkpoint-store.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { openLog } from "../store/log/log.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { type Commit, openStateStore } from "../store/state/state-store.ts";
import { RefusedRows } from "../store/tables/memory/refused-rows.ts";
import { Outputs } from "./outputs.ts";
import { recover, type RecoveryOptions } from "./recovery.ts";

const random = seededRandom(1);
const logOptions = { directory: "/log", segmentBytes: 64 * 1024, bytesMax: 1_000_000, random };
const plant: Definition = { kind: "source", id: sourceId(0), name: "plant" };

/** `decoded` messages of the source plant. */
function counted(decoded: number): Frame {
  const counts = [{ source: sourceId(0), decoded, deadLettered: 0, shed: 0, rejected: 0 }];
  return numberedFrame(1, 0, { definitions: [plant], counts });
}

function configured(json: string): Frame {
  return numberedFrame(1, 0, { definitions: [{ kind: "config", json }] });
}

/** What an earlier process left: a frame in the log, and a commit. */
async function left(
  frame: Frame,
  commit: Partial<Commit> = {},
): Promise<{ readonly disk: FaultDisk; readonly options: RecoveryOptions }> {
  const disk = new FaultDisk(random);
  const kv = new KvMemory();
  const { log } = await openLog(disk.mount(), logOptions);
  await log.append(frame);
  await log.close();
  const { store } = await openStateStore(kv);
  const none = { definitions: [], deadLetters: [], outbox: new OutboxWriter() };
  const ledger = ledgerAfter(frame);
  await store.commit({ through: position(1), ledger, ...none, ...commit });
  const { directory: logDirectory, bytesMax: logBytesMax, segmentBytes } = logOptions;
  const configInForce = JSON.stringify(emptySpec);
  const sizes = {
    logDirectory,
    tablesDirectory: "/tables",
    outboxBytesMax: 1_000_000,
    clock: new SimulatedClock(0),
    policy: tablePolicy,
    classes: [],
    clockNow: () => undefined,
    logBytesMax,
    segmentBytes,
    configInForce,
  };
  return {
    disk,
    options: { disk: disk.mount(), kv, random, outputs: new Outputs("gateway"), ...sizes },
  };
}

function ledgerAfter(frame: Frame): Uint8Array {
  const dataflow = createDataflow(emptySpec, new Catalog());
  if (frame.counts.length > 0) dataflow.apply(frame, position(0), new Outputs("gateway"));
  return dataflow.ledger.encode();
}

test("recovery applies what is in the log once more", async () => {
  const { options } = await left(counted(5));
  const { dataflow, replayed, log } = await recover(options);
  assert.equal(replayed.frames, 1);
  assert.equal(dataflow.ledger.view().sources[0]!.messages.decoded, 5);
  await log.close();
});

const checkpoint: Checkpoint = {
  chunks: [],
  tables: [],
  spec: JSON.stringify(emptySpec),
  refused: new RefusedRows().encode(),
};
const foreign = { table: "windows", chunk: 0, bytes: new Uint8Array(8) };

const refusals: readonly {
  readonly what: string;
  readonly code: string;
  readonly message: RegExp;
  readonly frame: Frame;
  readonly commit?: Partial<Commit>;
}[] = [
  {
    what: "a ledger that the log does not lead to",
    code: "STATE_MISMATCH",
    message: /source plant.*; .*backup/,
    frame: counted(5),
    commit: { ledger: ledgerAfter(counted(6)) },
  },
  {
    what: "a row that only the committed ledger has",
    code: "STATE_MISMATCH",
    message: /source plant/,
    frame: numberedFrame(1, 0),
    commit: { ledger: ledgerAfter(counted(6)) },
  },
  {
    what: "a committed ledger of another format",
    code: "STATE_MISMATCH",
    message: /format/,
    frame: counted(5),
    commit: { ledger: new Uint8Array(12) },
  },
  {
    what: "a configuration of a newer weir in the log",
    code: "FORMAT_TOO_NEW",
    message: /version 2.*; start the newer weir/,
    frame: configured('{"version":2}'),
  },
  {
    what: "a configuration of an unknown version in the log",
    code: "FORMAT_UNKNOWN",
    message: /fresh data directory/,
    frame: configured('{"version":"old"}'),
  },
  {
    what: "a checkpoint of a newer weir",
    code: "FORMAT_TOO_NEW",
    message: /version 2/,
    frame: counted(5),
    commit: { checkpoint: { ...checkpoint, spec: '{"version":2}' } },
  },
  {
    what: "state of another weir's table",
    code: "FORMAT_UNKNOWN",
    message: /windows.*; start the version that wrote it/,
    frame: counted(5),
    commit: { checkpoint: { ...checkpoint, tables: ["windows"], chunks: [foreign] } },
  },
];

for (const { what, code, message, frame, commit } of refusals) {
  test(`${what} is refused, and the log is closed`, async () => {
    const { disk, options } = await left(frame, commit);
    await assert.rejects(recover(options), (error) => {
      assert.ok(error instanceof Fault, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
    assert.equal(disk.openFiles, 0);
  });
}
