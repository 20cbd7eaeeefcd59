import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openSystemd, type SystemdOptions } from "./systemd.ts";

type Rig = {
  readonly open: (options?: Partial<SystemdOptions>) => NonNullable<ReturnType<typeof openSystemd>>;
  /** The messages so far, in order, once there are `count`. */
  readonly said: (count: number) => Promise<readonly string[]>;
  readonly failures: string[];
};

/** A systemd-notify that writes down what it was to send, and to which socket. */
function rig(t: TestContext, script = 'echo "$NOTIFY_SOCKET $*" >> "${0%/*}/said"'): Rig {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-notify-"));
  t.after(() => folder.remove());
  const program = join(folder.path, "systemd-notify");
  writeFileSync(program, `#!/bin/sh\n${script}\n`);
  chmodSync(program, 0o755);
  const failures: string[] = [];
  const path = [folder.path, process.env["PATH"]].join(delimiter);
  const env = { PATH: path, NOTIFY_SOCKET: "/run/s", WATCHDOG_USEC: "120000000" };
  return {
    failures,
    open: (options = {}) => {
      const systemd = openSystemd({
        env,
        pid: 7,
        isAlive: () => true,
        status: () => "running",
        onFailed: (why) => failures.push(why),
        ...options,
      });
      assert.ok(systemd !== undefined);
      t.after(() => systemd.close());
      return systemd;
    },
    said: async (count) => {
      const file = join(folder.path, "said");
      for (;;) {
        // Whole ones: the shell opens the file before it writes.
        const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
        if (lines.length >= count) return lines;
        await turn();
      }
    },
  };
}

test("it says that it is ready, how it is, and that it ends, a message at a time", async (t) => {
  const { open, said } = rig(t);
  const systemd = open();
  systemd.ready("degraded: the disk\nis full");
  systemd.ready("running");
  systemd.stopping();
  assert.deepEqual(await said(2), [
    "/run/s READY=1 STATUS=degraded: the disk is full",
    "/run/s READY=1 STATUS=ending STOPPING=1",
  ]);
});

test("signs of life come four times as often as they are wanted, as long as it is well", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { open, said } = rig(t);
  let isAlive = true;
  const status = t.mock.fn(() => "running");
  open({ isAlive: () => isAlive, status });
  t.mock.timers.tick(29_999);
  assert.equal(status.mock.callCount(), 0);
  t.mock.timers.tick(1);
  assert.deepEqual(await said(1), ["/run/s WATCHDOG=1 STATUS=running"]);
  isAlive = false;
  t.mock.timers.tick(30_000);
  assert.equal(status.mock.callCount(), 1, "none while it is not");
  isAlive = true;
  t.mock.timers.tick(30_000);
  assert.equal((await said(2)).length, 2);
});

test("nobody is told where nobody waits, and a watchdog of another process is not answered", (t) => {
  const { open } = rig(t);
  const options = {
    pid: 7,
    isAlive: () => true,
    status: () => undefined,
    onFailed: () => undefined,
  };
  assert.equal(openSystemd({ ...options, env: {} }), undefined);
  t.mock.timers.enable({ apis: ["setInterval"] });
  const env = { NOTIFY_SOCKET: "/run/s", WATCHDOG_USEC: "120000000", WATCHDOG_PID: "8" };
  const isAlive = t.mock.fn(() => false);
  open({ env, isAlive });
  t.mock.timers.tick(120_000);
  assert.equal(isAlive.mock.callCount(), 0);
});

test("a message that cannot be sent is said once, and does not keep others from being tried", async (t) => {
  const { open, said, failures } = rig(
    t,
    'echo "$*" >> "${0%/*}/said"; echo "no socket" >&2; exit 1',
  );
  const systemd = open();
  systemd.ready("running");
  systemd.stopping();
  await said(2);
  while (failures.length === 0) await turn();
  assert.equal(failures.length, 1);
  assert.match(failures[0]!, /^systemd-notify: .*no socket/s);
});
