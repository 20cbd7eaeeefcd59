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
import { parseFile, readConfig } from "./configured.ts";

/** Faults: CONFIG_INVALID. A document that cannot be used is left out, as the agent leaves it out. */
export async function readConfigInForce(file: string): Promise<Config> {
  const local = await readConfig(file);
  const overlay = await overlayInForce(local);
  if (overlay === undefined) return local;
  const parsed = await parseFile(resolve(file), overlay);
  return parsed.kind === "config" ? parsed.config : local;
}

/** What was accepted from afar for this local configuration; undefined: nothing that can be used. */
export async function overlayInForce(local: Config): Promise<Overlay | undefined> {
  const { remote, agent, dataDirectory } = local;
  if (remote === undefined) return undefined;
  const { remotePaths } = await import("../remote/known.ts");
  const { documentIn, readRemoteState } = await import("../remote/remote-state.ts");
  const { isFor, openDocument } = await import("../remote/document.ts");
  const { state: path } = remotePaths(dataPaths(dataDirectory).remote);
  const state = await readRemoteState(readingDisk, path).catch((error: unknown) => {
    if (error instanceof Fault) return undefined;
    throw error;
  });
  const text = state && documentIn(state);
  if (text === undefined) return undefined;
  const opened = openDocument(new TextEncoder().encode(text), remote.keys);
  if (opened.kind === "refused" || !isFor(opened.document, agent)) return undefined;
  const { version, body } = opened.document;
  return { name: `version ${version}`, text: body, allow: remote.allow };
}
