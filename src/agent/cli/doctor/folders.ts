/** The directories that file uplinks write to: would the agent get in there, and is there room? */

import { existsSync } from "node:fs";
import { Fault, isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Config } from "../../config/config.ts";
import { roughBytesText } from "../../config/quantity.ts";
import { unfitDirectory } from "../../doors/data-directory.ts";
import { systemDisk } from "../../doors/disk.ts";
import { standingOf, tryWriting, unwritable } from "./disk.ts";
import { fault, type Finding, ok } from "./finding.ts";

export async function folderFindings({
  uplinks,
}: Pick<Config, "uplinks">): Promise<readonly Finding[]> {
  const folders = uplinks.flatMap((uplink) => (uplink.kind === "file" ? [uplink.directory] : []));
  const findings: Finding[] = [];
  for (const folder of folders) findings.push(await lookAtFolder(folder));
  return findings;
}

async function lookAtFolder(directory: string): Promise<Finding> {
  const about = { area: "uplinks", place: directory };
  const unfit = await unfitDirectory(directory);
  if (unfit !== undefined) return fault(about, unfit, "set a directory on a disk");
  const standing = await standingOf(directory);
  try {
    await tryWriting(standing);
    const free = await systemDisk.freeBytes(standing);
    const made = existsSync(directory) ? "" : "the agent makes it; ";
    const said = `${made}${roughBytesText(free)} are free`;
    const figures = { freeBytes: free };
    if (free < limits.startFreeBytesMin) return fault(about, said, "free some space", figures);
    return ok(about, said, figures);
  } catch (error) {
    if (!(error instanceof Fault) && !isEnvironmental(error)) throw error;
    return unwritable(about, error, "directory");
  }
}
