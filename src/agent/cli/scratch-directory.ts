/**
 * A data directory that a command made for itself (a demo, a replay). It carries a marker, and only
 * a directory with that marker is ever emptied or written to: an agent's own is never touched.
 */

import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../core/faults.ts";
import { lockDirectory } from "../doors/directory-lock.ts";

const MARKER = "weir-scratch.json";

/**
 * Makes the directory ready. True where an earlier run's content is continued; `fresh` empties it.
 * Faults: DIRECTORY_NOT_WRITABLE where it is somebody else's, DIRECTORY_IN_USE.
 */
export async function scratchDirectory(
  directory: string,
  { madeBy, fresh }: { readonly madeBy: string; readonly fresh: boolean },
): Promise<boolean> {
  const names = await namesIn(directory);
  const isOurs = names.includes(MARKER) && (await makerOf(directory)) === madeBy;
  if (names.length > 0 && !isOurs) {
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `${directory} exists and was not made by ${madeBy}; choose another with --data`,
    );
  }
  if (isOurs && fresh) await emptied(directory);
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, MARKER), `${JSON.stringify({ madeBy })}\n`);
  } catch (cause) {
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `cannot write to ${directory}; choose another with --data`,
      { cause },
    );
  }
  return isOurs && !fresh;
}

/** Not while an agent runs in it; the marker goes last, so that a crash leaves it ours. */
async function emptied(directory: string): Promise<void> {
  const unlock = await lockDirectory(directory);
  const names = (await readdir(directory)).filter((name) => name !== MARKER);
  for (const name of [...names, MARKER]) await rm(join(directory, name), { recursive: true });
  await unlock();
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `cannot read ${directory}; choose another with --data`,
      {
        cause: error,
      },
    );
  }
}

async function makerOf(directory: string): Promise<unknown> {
  try {
    const marker: unknown = JSON.parse(await readFile(join(directory, MARKER), "utf8"));
    return typeof marker === "object" && marker !== null && "madeBy" in marker
      ? marker.madeBy
      : undefined;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
