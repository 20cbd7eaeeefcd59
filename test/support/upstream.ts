/** Reads what the file uplink wrote, as a consumer would: closed files and the open one, in order. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export type UpstreamRecord = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly kind: string;
};

/** All records of a lane, in file order. Throws on a line that is not a whole record. */
export async function readUpstream(
  directory: string,
  lane: "summaries" | "alerts",
): Promise<readonly UpstreamRecord[]> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(`${lane}-`)).sort();
  const records: UpstreamRecord[] = [];
  for (const name of names) {
    const text = await readFile(join(directory, name), "utf8");
    if (text !== "" && !text.endsWith("\n")) throw new Error(`${name} ends within a record`);
    for (const line of text.split("\n")) {
      if (line !== "") records.push(JSON.parse(line) as UpstreamRecord);
    }
  }
  return records;
}

/** Ids that occur more than once. */
export function repeatedIds(records: readonly UpstreamRecord[]): readonly string[] {
  const seen = new Set<string>();
  return records.filter(({ id }) => seen.size === seen.add(id).size).map(({ id }) => id);
}

/**
 * The newest revision of each window: what a consumer that replaces n by n + 1 ends up with. What is
 * no summary, such as a completeness marker where event time crosses an hour, is left out.
 */
export function latestRevisions(records: readonly UpstreamRecord[]): readonly UpstreamRecord[] {
  const latest = new Map<string, UpstreamRecord>();
  for (const record of records.filter(({ kind }) => kind === "summary")) {
    const window = record.id.slice(0, record.id.lastIndexOf("/"));
    const known = latest.get(window);
    if (known === undefined || Number(record["revision"]) > Number(known["revision"])) {
      latest.set(window, record);
    }
  }
  return [...latest.values()];
}
