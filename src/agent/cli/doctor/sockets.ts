/** Who holds a port or a data directory, as far as /proc tells: proc(5), net/tcp, net/unix and fd. */

import { stat } from "node:fs/promises";
import type { Machine } from "./machine.ts";

export type Holder = {
  /** Undefined where it is of another user and cannot be looked at. */
  readonly pid: number | undefined;
  /** As the kernel has it, 15 characters at most. */
  readonly program: string | undefined;
};

/** Who listens on a port of an address, or of all addresses; undefined where nobody does. */
export async function holderOfPort(
  machine: Machine,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Holder | undefined> {
  for (const [table, isSix] of [
    ["tcp", false],
    ["tcp6", true],
  ] as const) {
    const text = (await machine.text(`proc/net/${table}`)) ?? "";
    for (const line of text.split("\n").slice(1)) {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address = "", portHex = ""] = local.split(":");
      if (state !== LISTENING || Number.parseInt(portHex, 16) !== port) continue;
      if (!doMeet(host, isSix ? "six" : addressOf(address), /^0+$/.test(address))) continue;
      return await holderOf(machine, inode);
    }
  }
  return undefined;
}

const LISTENING = "0A";
const everywhere: ReadonlySet<string> = new Set(["0.0.0.0", "::", ""]);

/** Whether two listeners are in each other's way. Of IPv6 addresses only "all" is told apart. */
function doMeet(host: string, other: string, isOtherEverywhere: boolean): boolean {
  if (isOtherEverywhere || everywhere.has(host)) return true;
  return host === other || (host === "localhost" && other === "127.0.0.1") || other === "six";
}

/** "0100007F" is 127.0.0.1: bytes in the order of a little-endian machine, which all of ours are. */
function addressOf(hex: string): string {
  const bytes = hex.match(/../g) ?? [];
  return bytes
    .toReversed()
    .map((byte) => Number.parseInt(byte, 16))
    .join(".");
}

/** The agent that has the data directory; see doors/directory-lock.ts. */
export async function holderOfDirectory(
  machine: Machine,
  directory: string,
): Promise<Holder | undefined> {
  const found = await stat(directory).catch(() => undefined);
  if (found === undefined) return undefined;
  const name = `@weir-${found.dev}-${found.ino}`;
  const text = (await machine.text("proc/net/unix")) ?? "";
  for (const line of text.split("\n")) {
    const fields = line.trim().split(/\s+/);
    const [path, inode] = [fields[7], fields[6]];
    if (path === name && inode !== undefined) return await holderOf(machine, inode);
  }
  return undefined;
}

async function holderOf(machine: Machine, inode: string): Promise<Holder> {
  const target = `socket:[${inode}]`;
  for (const pid of await machine.list("proc")) {
    if (!/^\d+$/.test(pid)) continue;
    for (const file of await machine.list(`proc/${pid}/fd`)) {
      if ((await machine.link(`proc/${pid}/fd/${file}`)) !== target) continue;
      return { pid: Number(pid), program: await machine.text(`proc/${pid}/comm`) };
    }
  }
  return { pid: undefined, program: undefined };
}

/** For a sentence: "process 812 (mosquitto)". */
export function holderText({ pid, program }: Holder): string {
  if (pid === undefined) return "a process that cannot be looked at (ask as root)";
  return `process ${pid}${program === undefined ? "" : ` (${program})`}`;
}
