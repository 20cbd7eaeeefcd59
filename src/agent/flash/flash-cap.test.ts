import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { limits } from "../../core/limits.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { commitDefaults } from "../config/config.ts";
import { FlashCap } from "./flash-cap.ts";
import { deviceWritesOf, OWN_WRITES, OwnWrites } from "./own-writes.ts";
import { flashNotices } from "../notices/table-notices.ts";
import { WearWatch } from "./wear-watch.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

type Lived = {
  readonly cap: FlashCap;
  /** Bytes of each day. */
  readonly days: readonly number[];
  /** By step. */
  readonly levels: readonly number[];
};

/**
 * Lives through days with a device that is given `fixed` bytes a day whatever is done, and `shared`
 * as long as readings wait as configured: less, the longer they do. Each hour a burst comes on top.
 */
function live(
  cap: FlashCap,
  {
    days,
    fixed,
    shared,
  }: { readonly days: number; readonly fixed: number; readonly shared: number },
): Lived {
  const written: number[] = [];
  const levels: number[] = [];
  for (let at = 0; at < days * day; at += limits.sparingLookMs) {
    const today = Math.floor(at / day);
    const share = commitDefaults.waitMs / (cap.commit.waitMs || commitDefaults.waitMs);
    const burst = at % hour === 0 ? 0.2 * fixed * (hour / day) : 0;
    const bytes = (0.8 * fixed + shared * share) * (limits.sparingLookMs / day) + burst;
    written[today] = (written[today] ?? 0) + bytes;
    cap.look(at, written[today]);
    if (at % limits.sparingStepMs === 0) levels.push(cap.status?.level ?? 0);
  }
  return { cap, days: written, levels };
}

const capped = (capBytes: number): FlashCap => new FlashCap({ capBytes, commit: commitDefaults });
const changesOf = (levels: readonly number[]): number =>
  levels.filter((level, index) => index > 0 && level !== levels[index - 1]).length;

test("days that would write too much keep to the cap, and the level is held, not hunted for", () => {
  const { days, levels, cap } = live(capped(2e9), { days: 5, fixed: 0.5e9, shared: 5e9 });
  for (const bytes of days) assert.ok(bytes <= 2e9, days.join(" "));
  assert.ok(Math.max(...levels) >= 2 && Math.max(...levels) <= 3, levels.join(" "));
  assert.ok(changesOf(levels) <= 4, levels.join(" "));
  assert.equal(cap.status?.isMissed, false);
});

test("below the cap nothing is spared, bursts or not; once the load is gone nothing is any more", () => {
  const { levels } = live(capped(2e9), { days: 2, fixed: 0.5e9, shared: 1e9 });
  assert.deepEqual([...new Set(levels)], [0]);
  const cap = capped(2e9);
  assert.ok(live(cap, { days: 1, fixed: 0.5e9, shared: 9e9 }).levels.some((level) => level > 0));
  live(cap, { days: 1, fixed: 0.1e9, shared: 0.1e9 });
  assert.deepEqual([cap.status?.level, cap.isSparing, cap.commit], [0, false, commitDefaults]);
});

test("what cannot be met is said, with what it would take", () => {
  const { cap } = live(capped(1e9), { days: 1, fixed: 3e9, shared: 1e9 });
  assert.deepEqual([cap.status?.level, cap.status?.isMissed], [limits.sparingLevelMax, true]);
  const [notice] = flashNotices(cap.status);
  assert.match(
    notice?.message ?? "",
    /^2\.\d GiB a day are written .* is 954 MiB: readings wait 5s already; /,
  );
  assert.deepEqual(flashNotices(capped(1e9).status), []);
  assert.equal(new FlashCap({ capBytes: undefined, commit: commitDefaults }).status, undefined);
});

test("readings wait as long as they may and no longer; what syncs at once goes on doing so", () => {
  const pressed = (commit: typeof commitDefaults): typeof commitDefaults =>
    live(new FlashCap({ capBytes: 1e6, commit }), { days: 1, fixed: 3e9, shared: 1e9 }).cap.commit;
  const most = pressed(commitDefaults);
  assert.deepEqual(
    [most.waitMs, most.intervalMs, most.checkpointMs],
    [limits.sparingWaitMsMax, limits.sparingIntervalMsMax, limits.sparingCheckpointMsMax],
  );
  assert.ok(most.rowsEager > commitDefaults.rowsEager);
  assert.equal(pressed({ ...commitDefaults, waitMsMax: 700 }).waitMs, 700);
  assert.equal(pressed({ ...commitDefaults, waitMs: 0 }).waitMs, 0);
  const rare = { ...commitDefaults, waitMs: 9_000, checkpointMs: day };
  assert.deepEqual([pressed(rare).waitMs, pressed(rare).checkpointMs], [9_000, day]);
});

test("the running day goes on after a restart; where no device is counted we count ourselves", async () => {
  const kv = new KvMemory();
  let clock = new SimulatedClock(20_000 * day + hour);
  const told: number[] = [];
  for (const life of [1, 2]) {
    const own = new OwnWrites(life);
    const { store } = await openStateStore(own.countedKv(kv));
    const watch = new WearWatch({
      clock,
      store,
      clockNow: () => clock.now(),
      readDeviceWrites: deviceWritesOf({}, own),
      onLook: (_, bytes) => told.push(bytes),
    });
    watch.start();
    await clock.pass(hour);
    await store.advance([{ key: `x/${life}`, value: new Uint8Array(100_000) }]);
    await clock.pass(3 * limits.sparingLookMs);
    await watch.close();
    assert.equal(watch.status?.device, OWN_WRITES);
    clock = clock.kill();
  }
  const [first = 0, last = 0] = [told[0], told.at(-1)];
  assert.equal(first, 0);
  assert.ok(last > 200_000 && last < 400_000, `${last}`);
  assert.deepEqual(
    told,
    told.toSorted((a, b) => a - b),
    "a restart takes nothing back",
  );
});

test("a device that is counted at first is never replaced by our own counts", async () => {
  const answers = [{ device: "sda", bootId: "a", bytes: 7 }, undefined];
  const writes = deviceWritesOf(
    { readDeviceWrites: () => Promise.resolve(answers.shift()) },
    new OwnWrites(1),
  );
  assert.equal((await writes())?.device, "sda");
  assert.equal(await writes(), undefined);
});
