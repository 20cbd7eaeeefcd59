/**
 * The configuration that the agent of a file has, or would start with: the file, with what was accepted
 * from afar laid over it. For commands that do what an agent would do with its data.
 */

import { resolve } from "node:path";
import { Fault } from "../../core/faults.ts";
import type { Config } from "../config/config.ts";
import type { Overlay } from "../config/overlay.ts";
import { readingDisk } from "../doors/disk.ts";
import { dataPaths } from "../start.ts";
import { lookAsOwner } from "./act-as-owner.ts";
import { parseFile, readConfig } from "./configured.ts";

/**
 * For a command that no agent may run beside. Faults: CONFIG_INVALID. A document that cannot be used is left
 * out, as the agent leaves it out.
 */
export async function readConfigInForce(file: string): Promise<Config> {
  const local = await readConfig(file);
  for (const overlay of await overlaysInForce(local, { isRunning: false })) {
    const parsed = await parseFile(resolve(file), overlay);
    if (parsed.kind === "config") return parsed.config;
  }
  return local;
}

/**
 * What was accepted from afar for this local configuration: the one on trial before the proven one. The first
 * that can be laid over it is in force; where none can, the file alone is. A trial that has had its tries is
 * over, but for the agent that has the last of them: `isRunning`.
 */
export async function overlaysInForce(
  local: Config,
  { isRunning }: { readonly isRunning: boolean },
): Promise<readonly Overlay[]> {
  const { remote, agent, dataDirectory } = local;
  if (remote === undefined) return [];
  const { remotePaths } = await import("../remote/known.ts");
  const { readRemoteState } = await import("../remote/remote-state.ts");
  const { isFor, openDocument } = await import("../remote/document.ts");
  const { state: path } = remotePaths(dataPaths(dataDirectory).remote);
  const state = await lookAsOwner(dataDirectory, () =>
    readRemoteState(readingDisk, path).catch((error: unknown) => {
      if (error instanceof Fault) return undefined;
      throw error;
    }),
  );
  const { trial, good } = state ?? {};
  const isOver = !isRunning && trial !== undefined && trial.tries >= remote.triesMax;
  return [isOver ? undefined : trial?.text, good].flatMap((text) => {
    if (text === undefined) return [];
    const opened = openDocument(new TextEncoder().encode(text), remote.keys);
    if (opened.kind === "refused" || !isFor(opened.document, agent)) return [];
    const { version, body } = opened.document;
    return [{ name: `version ${version}`, text: body, allow: remote.allow }];
  });
}
