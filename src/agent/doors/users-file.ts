/**
 * The file of users on a real disk. Reading looks at size and times first, so that looking often is
 * cheap. Writing replaces the file whole: a new one beside it, synced, renamed; owned by whoever owned
 * the old one (or the folder), so that the agent can read what root wrote. Readable by its owner alone;
 * by its group too where the old one was, or where the folder gives its group to what is put there
 * (/etc/weir of the Debian package: root writes, the service's group reads).
 */

import { randomUUID } from "node:crypto";
import { chown, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { UsersFileContent, UsersFileDoor } from "../ingest/mqtt/access/users-watch.ts";

const MODE = 0o600;
const GROUP_READS = 0o040;
const SET_GROUP = 0o2000;

export function systemUsersFile(path: string): UsersFileDoor {
  let last = "";
  return {
    path,
    read: async () => {
      try {
        const { isFile, mark, size } = await look(path);
        if (mark === last) return { kind: "unchanged" };
        last = mark;
        if (!isFile) return { kind: "unreadable", why: "it is no file" };
        if (size > limits.usersFileBytesMax) return { kind: "unreadable", why: "it is too long" };
        return { kind: "text", text: await readFile(path, "utf8") };
      } catch (error) {
        last = "";
        return lack(codeOf(error));
      }
    },
  };
}

/** Faults: USERS_FILE_UNUSABLE. */
export async function writeUsersFile(path: string, text: string): Promise<void> {
  const next = `${path}.${randomUUID()}`;
  try {
    const before = await stat(path).catch(() => undefined);
    const owner = before ?? (await stat(dirname(path)));
    const mode = MODE | groupReads(before?.mode, owner.mode);
    await using file = await open(next, "wx", MODE);
    // Only root can give a file away, and only root needs to.
    if (process.getuid?.() === 0) await chown(next, owner.uid, owner.gid);
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
    await rename(next, path);
    await using folder = await open(dirname(path), "r");
    await folder.sync();
  } catch (cause) {
    await rm(next, { force: true }).catch(() => {});
    throw new Fault(
      "USERS_FILE_UNUSABLE",
      `the file of users ${path} cannot be written (${codeOf(cause)}): check the path, and who may write to its folder`,
      { cause, facts: { path } },
    );
  }
}

async function look(
  path: string,
): Promise<{ readonly isFile: boolean; readonly mark: string; readonly size: number }> {
  const { dev, ino, size, mtimeNs, ctimeNs, isFile } = await statOf(path);
  return { isFile, mark: [dev, ino, size, mtimeNs, ctimeNs].join(" "), size: Number(size) };
}

async function statOf(path: string): Promise<{
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly isFile: boolean;
}> {
  const stats = await stat(path, { bigint: true });
  const { dev, ino, size, mtimeNs, ctimeNs } = stats;
  return { dev, ino, size, mtimeNs, ctimeNs, isFile: stats.isFile() };
}

function groupReads(before: number | undefined, folder: number): number {
  if (before !== undefined) return before & GROUP_READS;
  return (folder & SET_GROUP) === 0 ? 0 : GROUP_READS;
}

function lack(code: string): UsersFileContent {
  if (code === "ENOENT") return { kind: "missing" };
  const isForbidden = code === "EACCES" || code === "EPERM";
  return {
    kind: "unreadable",
    why: isForbidden ? "give it to the user that runs weir: chown, 65532 in the container" : code,
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
