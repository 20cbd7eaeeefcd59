/**
 * A Debian package as people use it, in a small Debian of its architecture: install, run the unit's
 * command as its user on a read-only root, upgrade, a downgrade that is refused, remove, purge, and once
 * more with the data on a disk of their own; and the readings are there as long as they should be. dpkg
 * and the maintainer scripts are those of that Debian.
 *
 * Started by `npm run package -- --deb --trial`, apart from the machine (apart.ts).
 */

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePorts } from "../../../test/support/ports.ts";
import { everythingRequired, findTool } from "../../../test/support/require-tool.ts";
import type { Architecture } from "../parts.ts";
import { registerEmulator } from "../apart.ts";
import { assertReadings, publish, saysStarted, step } from "../trial-agent.ts";
import { makeDebianRoot } from "./debian-root.ts";

/** How exposed a service may be, in tenths, as systemd-analyze counts. */
const exposureMax = 20;
const readings = 100;
const data = "var/lib/weir";
const config = "etc/weir/weir.yaml";
const enabled = "etc/systemd/system/multi-user.target.wants/weir.service";
const path = "/usr/sbin:/usr/bin:/sbin:/bin";

const [architecture, older, newer, work] = process.argv.slice(2);
assert.ok(older !== undefined && newer !== undefined && work !== undefined);
registerEmulator(architecture as Architecture);
const folder = join(work, "root");
mkdirSync(folder);
makeDebianRoot(folder, architecture as Architecture);
for (const name of ["proc", "dev"]) {
  mkdirSync(join(folder, name), { recursive: true });
  execFileSync("mount", ["--rbind", `/${name}`, join(folder, name)]);
}
copyFileSync(older, join(folder, "older.deb"));
copyFileSync(newer, join(folder, "newer.deb"));

await step("installs, and nobody but its user and group sees its data", () => {
  dpkg("--install", "/older.deb");
  const user = idsOf("weir");
  assert.deepEqual(rightsOf(data), { mode: 0o750, ...user });
  assert.deepEqual(rightsOf("etc/weir"), { mode: 0o2750, uid: 0, gid: user.gid });
  const users = "etc/weir/users.weir";
  const add = ["user", "add", "pump", "--file", `/${users}`, "--password-stdin"];
  inside({ input: "a password of a pump\n" }, "/usr/bin/weir", ...add);
  assert.deepEqual(rightsOf(users), { mode: 0o640, uid: 0, gid: user.gid }, "the service reads it");
  assert.ok(existsSync(join(folder, "usr/lib/systemd/system/weir.service")));
  assert.ok(existsSync(join(folder, "usr/share/doc/weir/copyright")));
  // It leads to where the unit is seen from inside.
  assert.ok(
    inside({}, "readlink", `/${enabled}`).endsWith("/weir.service"),
    "the service is enabled",
  );
  return inside({}, "/usr/bin/weir", "--version");
});

await step("has a unit that systemd reads whole, and a hardened one", () => {
  if (findTool("systemd-analyze") === undefined && !everythingRequired()) {
    return "left out: no systemd-analyze here (Debian package systemd)";
  }
  const unit = join(folder, "usr/lib/systemd/system/weir.service");
  const words = ["security", "--no-pager", "--offline=true", `--threshold=${exposureMax}`, unit];
  const { status, stdout, stderr } = spawnSync("systemd-analyze", words, { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
  assert.equal(stderr, "", "systemd understands every line");
  return /→ (.*)$/m
    .exec(stdout)?.[1]
    ?.replaceAll(/[^\w .:]/g, "")
    .trim();
});

const [mqttPort, httpPort] = await freePorts(2);
const configured = readFileSync(join(folder, config), "utf8")
  .replace("port: 1883", `port: ${mqttPort}`)
  .replace("port: 8080", `port: ${httpPort}`);

await step("is upgraded while it runs, and keeps readings and configuration", async () => {
  writeFileSync(join(folder, config), configured);
  await using before = await startService();
  await publish({ port: mqttPort!, count: readings });
  dpkg("--install", "/newer.deb");
  assert.equal(readFileSync(join(folder, config), "utf8"), configured);
  await before.stop();
  await using after = await startService();
  assertKept(readings);
  await publish({ port: mqttPort!, from: readings, count: readings });
  assertKept(2 * readings);
  await after.stop();
  return `${2 * readings} readings`;
});

await step("does not go back to the older one, in a sentence", () => {
  const version = installed();
  refusesOlder();
  assert.equal(installed(), version);
  return version;
});

await step(
  "is removed without its data, goes back no more then, and is itself again when it is installed again",
  async () => {
    dpkg("--remove", "weir");
    assert.ok(!existsSync(join(folder, "usr/bin/weir")));
    assert.equal(readFileSync(join(folder, config), "utf8"), configured);
    refusesOlder();
    assert.ok(!existsSync(join(folder, "usr/bin/weir")));
    dpkg("--install", "/newer.deb");
    await using service = await startService();
    assertKept(2 * readings);
    await service.stop();
    return `${2 * readings} readings`;
  },
);

await step("is purged without a trace but its user", () => {
  dpkg("--purge", "weir");
  for (const gone of [data, "etc/weir", enabled, "usr/bin/weir", "usr/share/doc/weir"]) {
    assert.ok(!existsSync(join(folder, gone)), gone);
  }
  assert.equal(installed(), "");
  assert.ok(idsOf("weir").uid > 0);
  return "";
});

await step("waits for a disk that is not mounted, and goes back where that is empty", () => {
  const path = join(folder, data);
  symlinkSync("/mnt/not-there", path);
  dpkg("--install", "/newer.deb");
  assert.equal(readlinkSync(path), "/mnt/not-there");
  rmSync(path);
  mkdirSync(join(path, "lost+found"), { recursive: true });
  dpkg("--install", "/older.deb");
  return installed();
});

await step("leaves the owner and mode of its data as they are, or as dpkg was told", () => {
  const path = join(folder, data);
  chmodSync(path, 0o700);
  dpkg("--install", "/newer.deb");
  assert.deepEqual(rightsOf(data), { mode: 0o700, uid: 0, gid: 0 });
  rmSync(path, { recursive: true });
  const { gid } = idsOf("weir");
  inside({}, "dpkg-statoverride", "--add", "#12345", "weir", "2770", `/${data}`);
  dpkg("--install", "/newer.deb");
  assert.deepEqual(rightsOf(data), { mode: 0o2770, uid: 12_345, gid });
  inside({}, "dpkg-statoverride", "--remove", `/${data}`);
  return "";
});

await step("is purged where its data are on a disk of their own, and leaves that empty", () => {
  const path = join(folder, data);
  execFileSync("mount", ["-t", "tmpfs", "none", path]);
  mkdirSync(join(path, "log"));
  writeFileSync(join(path, "log/of-a-reading"), "");
  dpkg("--purge", "weir");
  assert.deepEqual(readdirSync(path), []);
  assert.ok(!existsSync(join(folder, "etc/weir")));
  assert.equal(installed(), "");
  execFileSync("umount", [path]);
  return "";
});

/** What a program of the root says, without the last line break. Throws where it fails. */
function inside(
  { input = "" }: { readonly input?: string },
  ...command: readonly string[]
): string {
  const env = { PATH: path, LC_ALL: "C.UTF-8" };
  return execFileSync("chroot", [folder, ...command], { env, encoding: "utf8", input }).trim();
}

function tryDpkg(...words: readonly string[]): {
  readonly status: number | null;
  readonly output: string;
} {
  const env = { PATH: path, LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive" };
  const command = [folder, "dpkg", "--force-unsafe-io", ...words];
  const { status, stdout, stderr } = spawnSync("chroot", command, {
    env,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { status, output: stdout + stderr };
}

function dpkg(...words: readonly string[]): void {
  const { status, output } = tryDpkg(...words);
  assert.equal(status, 0, `dpkg ${words.join(" ")}:\n${output}`);
}

/** In a sentence, and changes nothing. */
function refusesOlder(): void {
  const { status, output } = tryDpkg("--install", "/older.deb");
  assert.notEqual(status, 0, output);
  assert.match(output, /does not take the place of .* it may not understand what/);
}

/** Its version; empty where it is not there, nor anything of it. */
function installed(): string {
  const { status, output } = tryDpkg("--status", "weir");
  return status === 0 ? (/^Version: (.*)$/m.exec(output)?.[1] ?? "") : "";
}

function rightsOf(name: string): {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
} {
  const { mode, uid, gid } = statSync(join(folder, name));
  return { mode: mode & 0o7777, uid, gid };
}

function idsOf(user: string): { readonly uid: number; readonly gid: number } {
  const line = new RegExp(`^${user}:x:(\\d+):(\\d+):`, "m").exec(
    readFileSync(join(folder, "etc/passwd"), "utf8"),
  );
  assert.ok(line !== null, `there is a user ${user}`);
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** An agent in the root answers with these readings, each once, and no others. */
function assertKept(count: number): void {
  const words = ["query", "-c", `/${config}`, "--readings", "--from", "-1h", "--json"];
  assertReadings(inside({}, "/usr/bin/weir", ...words), count);
}

type Service = AsyncDisposable & { readonly stop: () => Promise<void> };

/** What the installed unit starts, as the user that it names, where nothing but its own folders can be written. */
async function startService(): Promise<Service> {
  const unit = readFileSync(join(folder, "usr/lib/systemd/system/weir.service"), "utf8");
  const of = (name: string): string => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
  const seen = join(work!, "seen");
  mkdirSync(seen, { recursive: true });
  execFileSync("mount", ["--rbind", folder, seen]);
  execFileSync("mount", ["-o", "remount,bind,ro", seen]);
  const own = join(seen, "var/lib", of("StateDirectory"));
  execFileSync("mount", ["--bind", join(folder, "var/lib", of("StateDirectory")), own]);
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=1777", "none", join(seen, "tmp")]);
  const as = ["--reuid", of("User"), "--regid", of("Group"), "--init-groups", "--no-new-privs"];
  const words = [seen, "setpriv", ...as, ...of("ExecStart").split(" ")];
  const child = spawn("chroot", words, {
    env: { PATH: path, LC_ALL: "C.UTF-8" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  const end = async (): Promise<void> => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await ended;
    execFileSync("umount", ["--lazy", seen]);
  };
  let isSeen = true;
  try {
    await saysStarted(child);
  } catch (error) {
    await end();
    throw error;
  }
  return {
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
      assert.equal(child.exitCode, 0, "it ends in good order");
      isSeen = false;
      execFileSync("umount", ["--lazy", seen]);
    },
    [Symbol.asyncDispose]: async () => {
      if (isSeen) await end();
    },
  };
}
