/** What cannot be broken on the machine that runs the tests: on one that is made of files. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import { millis } from "../../../core/units.ts";
import { clockFindings, type ClockOptions, printed } from "./clock.ts";
import { enduranceFindings, type EnduranceOptions } from "./endurance.ts";
import type { Finding } from "./finding.ts";
import { kernelFindings } from "./kernel.ts";
import { configOf } from "../../config/config.ts";
import { Machine } from "./machine.ts";

const nowMs = Date.UTC(2026, 10, 29, 12);

function machineOf(t: TestContext, files: Readonly<Record<string, string>>): Machine {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-machine-"));
  t.after(() => folder.remove());
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), `${text}\n`);
  }
  return new Machine(folder.path);
}

function said(findings: readonly Finding[], place: string): string {
  return findings
    .filter((each) => each.place === place)
    .map(({ level, found }) => `${level}: ${found}`)
    .join();
}

function look(machine: Machine, changes: Partial<ClockOptions> = {}): Promise<readonly Finding[]> {
  return clockFindings({
    clock: new SimulatedClock(nowMs),
    machine,
    newest: undefined,
    began: { now: nowMs, monotonic: 0 },
    ask: () => Promise.resolve(undefined),
    ...changes,
  });
}

test("a clock of 1970, and one behind what the agent has seen, are faults", async (t) => {
  const machine = machineOf(t, {});
  const early = await look(machine, { clock: new SimulatedClock(86_400_000) });
  assert.match(said(early, "time of day"), /^fault: it says 1970-01-02T00:00:00Z/);
  const behind = await look(machine, { newest: millis(nowMs + 3_600_000) });
  assert.match(said(behind, "time of day"), /^fault: .*has seen 2026-11-29T13:00:00Z/);
  assert.match(said(await look(machine), "time of day"), /^ok/);
});

test("a clock that is set while it is looked at is told", async (t) => {
  const clock = new SimulatedClock(nowMs);
  clock.step(-60_000);
  const findings = await look(machineOf(t, {}), { clock });
  assert.match(said(findings, "time of day"), /^advice: .*was set by -60000 ms/);
});

test("who keeps the clock is asked, one after the other", async (t) => {
  const bare = machineOf(t, {});
  const answers =
    (known: Readonly<Record<string, string>>) =>
    (program: string): Promise<string | undefined> =>
      Promise.resolve(known[program]);
  const of = async (known: Readonly<Record<string, string>>): Promise<string> =>
    said(await look(bare, { ask: answers(known) }), "synchronisation");
  assert.match(await of({}), /^advice: nobody says/);
  assert.match(await of({ timedatectl: "no\n" }), /^advice: the kernel says that it is not/);
  assert.match(await of({ timedatectl: "yes\n" }), /^ok/);
  assert.match(await of({ chronyc: "A,B,3,Not synchronised\n" }), /^advice: chrony says: Not/);
  assert.match(await of({ chronyc: "A,B,3,Normal\n" }), /^ok: chrony/);
  const timesync = machineOf(t, { "run/systemd/timesync/synchronized": "" });
  assert.match(said(await look(timesync), "synchronisation"), /^ok: systemd-timesyncd/);
});

test("a board without a clock, with one, and with one that is wrong", async (t) => {
  const place = "after a power failure";
  const since = "sys/class/rtc/rtc0/since_epoch";
  assert.match(said(await look(machineOf(t, {})), place), /^advice: .*may begin in 1970/);
  const fake = machineOf(t, { "etc/fake-hwclock.data": "2026-11-29 11:00:00" });
  assert.match(said(await look(fake), place), /^advice: .*goes on where it stopped/);
  const right = machineOf(t, { [since]: String(nowMs / 1_000 + 1) });
  assert.match(said(await look(right), place), /^ok: rtc0 keeps the time/);
  const wrong = machineOf(t, { [since]: String(nowMs / 1_000 - 600) });
  assert.match(said(await look(wrong), place), /^advice: rtc0 says 2026-11-29T11:50:00Z/);
});

test("a program that does not answer, fails or is missing says nothing", async () => {
  assert.equal(await printed("sh", ["-c", "echo yes"]), "yes\n");
  assert.equal(await printed("sh", ["-c", "echo yes; exit 1"]), undefined);
  assert.equal(await printed("weir-no-such-program", []), undefined);
  assert.equal(await printed("sleep", ["60"]), undefined);
});

const worn = {
  device: "mmcblk0",
  bootId: "b",
  counterBytes: 0,
  from: nowMs - 10 * 86_400_000,
  to: nowMs,
  totalBytes: 40e9,
  days: [[Math.floor(nowMs / 86_400_000) - 10, 40e9]],
} as const;

function lasting(
  machine: Machine,
  changes: Partial<EnduranceOptions>,
): Promise<readonly Finding[]> {
  return enduranceFindings({
    machine,
    device: "mmcblk0",
    wear: undefined,
    capBytes: undefined,
    enduranceBytes: undefined,
    commit: { waitMs: 200, intervalMs: 1_000 },
    bytesPerSync: undefined,
    ...changes,
  });
}

test("how long the card lasts, by what was measured, capped or is configured", async (t) => {
  const machine = machineOf(t, {});
  const of = async (changes: Partial<EnduranceOptions>): Promise<string> =>
    said(await lasting(machine, changes), "mmcblk0");
  assert.match(await of({}), /^ok: how much .* after the agent has run for a day/);
  assert.match(
    await of({ bytesPerSync: 4_096 }),
    /^ok: readings that come all day cost at least 2.3 GiB a day/,
  );
  assert.match(
    await of({ capBytes: 2e9, enduranceBytes: 117e12 }),
    /^ok: at most .*: at least 160\.2 years/,
  );
  assert.match(
    await of({ bytesPerSync: 4_096, enduranceBytes: 117e12 }),
    /^ok: readings .* at least 2\.3 GiB .*: at most 1\d\d\.\d years are left/,
  );
  assert.match(await of({ wear: worn }), /^ok: 3.\d GiB are written a day/);
  assert.match(
    await of({ wear: worn, enduranceBytes: 4e12 }),
    /^advice: .*programs: 2\.\d years are left/,
  );
  assert.match(await of({ wear: worn, capBytes: 2e9 }), /^advice: .* more than store.writesPerDay/);
});

test("what an eMMC says of its own life", async (t) => {
  const of = async (life: string, reserve: string): Promise<string> => {
    const folder = "sys/block/mmcblk0/device";
    const files = { [`${folder}/life_time`]: life, [`${folder}/pre_eol_info`]: reserve };
    const [, finding] = await lasting(machineOf(t, files), {});
    return finding === undefined ? "" : `${finding.level}: ${finding.found}`;
  };
  assert.equal(await of("0x00 0x00", "0x00"), "");
  assert.equal(await of("0x01 0x02", "0x01"), "ok: it has used up to 20 % of its life");
  assert.match(await of("0x09 0x01", "0x01"), /^advice: it has used up to 90 %/);
  assert.match(await of("0x00 0x00", "0x02"), /^advice: it has used most of its spare blocks/);
  assert.match(await of("0x0b 0x01", "0x01"), /^fault: it has used up the life/);
  assert.match(await of("0x01 0x01", "0x03"), /^fault/);
});

test("address space that counts when it is reserved, and a limit of version 2 above our group", async (t) => {
  const machine = machineOf(t, {
    "proc/sys/vm/overcommit_memory": "2",
    "proc/meminfo": "MemTotal:  1000000 kB\nMemAvailable:  500000 kB",
    "proc/self/cgroup": "0::/system.slice/weir.service",
    "sys/fs/cgroup/system.slice/memory.max": "268435456",
    "sys/fs/cgroup/system.slice/weir.service/memory.max": "max",
  });
  const options = { machine, config: undefined, agentPid: undefined, device: undefined };
  const findings = await kernelFindings(options);
  assert.match(said(findings, "vm.overcommit_memory"), /^advice: 2: /);
  assert.match(said(findings, "control group"), /^ok: at most 256 MiB of 977 MiB/);
});

test("a device that reads far ahead is told where memory is little, and only there", async (t) => {
  const of = async (readAhead: string, limit: string): Promise<string> => {
    const machine = machineOf(t, {
      "proc/meminfo": "MemTotal:  1000000 kB\nMemAvailable:  500000 kB",
      "proc/self/cgroup": "0::/weir",
      "sys/fs/cgroup/weir/memory.max": limit,
      "sys/block/mmcblk0/queue/read_ahead_kb": readAhead,
    });
    const about = { config: undefined, agentPid: undefined, device: "mmcblk0" };
    return said(await kernelFindings({ machine, ...about }), "read-ahead of mmcblk0");
  };
  assert.match(await of("8192", "100663296"), /^advice: 8192 KiB: with 96 MiB each page/);
  assert.equal(await of("128", "100663296"), "ok: 128 KiB");
  assert.equal(await of("8192", "max"), "");
});

test("where the limit is less than the configuration allows, it says what the agent then does", async (t) => {
  const machine = machineOf(t, {
    "proc/meminfo": "MemTotal:  1000000 kB\nMemAvailable:  500000 kB",
    "proc/self/cgroup": "0::/",
    "sys/fs/cgroup/memory.max": "100663296",
  });
  const config = configOf({ agent: "a", dataDirectory: "/d", sources: [], seriesMax: 100_000 });
  const findings = await kernelFindings({
    machine,
    config,
    agentPid: undefined,
    device: undefined,
  });
  assert.match(
    said(findings, "control group"),
    /^advice: at most 96 MiB .* keeps to the limit and takes new series up to 2048$/,
  );
});
