/**
 * A program in namespaces of its own, as their root: it mounts and registers what it likes, and nothing
 * of that is seen outside or stays. Programs of another architecture run in it as if they were this
 * machine's (binfmt_misc, of the namespace's own since Linux 6.7), dpkg and what it starts included.
 */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { findTool } from "../../test/support/require-tool.ts";
import { emulatorOf } from "./foreign.ts";
import type { Architecture } from "./parts.ts";

const registry = "/proc/sys/fs/binfmt_misc";
/** Users and groups that are there: as many as a small Debian has. */
const ids = 65_536;

/** Starts `command` apart, as root; its exit code. Rejects where this machine does not allow that. */
export async function runApart(command: readonly string[]): Promise<number> {
  if (process.getuid?.() !== 0 || findTool("unshare") === undefined) {
    throw new Error("only root can try a Debian package, with unshare (Debian package util-linux)");
  }
  // It waits until it is told who it is.
  const wait = 'read -r go && exec setpriv --reuid 0 --regid 0 --clear-groups "$@"';
  const child = spawn("unshare", ["--user", "--mount", "sh", "-c", wait, "sh", ...command], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  const ended = once(child, "exit");
  const { pid } = child;
  if (pid === undefined) throw new Error("unshare does not start");
  while (!isApart(pid)) {
    if (child.exitCode !== null) throw new Error("this machine allows no user namespaces");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${pid}/${map}`, `0 0 ${ids}`);
  child.stdin.end("go\n");
  await ended;
  return child.exitCode ?? 1;
}

function isApart(pid: number): boolean {
  const space = (of: string): string =>
    execFileSync("readlink", [`/proc/${of}/ns/user`], { encoding: "utf8" });
  return space(String(pid)) !== space("self");
}

/** For the program that runs apart: programs of `architecture` run from now on. */
export function registerEmulator(architecture: Architecture): void {
  if (architecture === process.arch) return;
  const emulator = emulatorOf(architecture);
  if (emulator === undefined) throw new Error(`there is no emulator for ${architecture} here`);
  try {
    execFileSync("mount", ["-t", "binfmt_misc", "none", registry], { stdio: "pipe" });
    const { file, magic, mask } = emulator;
    writeFileSync(`${registry}/register`, `:weir-${architecture}:M::${magic}:${mask}:${file}:FP`);
  } catch (cause) {
    const there = existsSync(registry) ? readdirSync(registry) : [];
    if (there.some((name) => name.startsWith("qemu-"))) return;
    const message =
      "programs of another architecture cannot be registered: Linux 6.7 or newer lets a namespace do it, " +
      "else qemu has to be registered on the machine (Debian package qemu-user-static)";
    throw new Error(message, { cause });
  }
}
