/** Reads the configuration a command was pointed at; its errors go to stderr with line and column. */

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import { Fault } from "../../core/faults.ts";
import type { Config } from "../config/config.ts";
import type { Overlay } from "../config/overlay.ts";
import { type ParsedConfig, parseConfig } from "../config/parse.ts";
import { readValueFile } from "../doors/value-file.ts";

/** `onRead` gets the file's text too, is called before any warning is said, and need not return. */
export async function readConfig(
  file: string,
  { onRead = () => undefined }: { readonly onRead?: (config: Config, text: string) => void } = {},
): Promise<Config> {
  const path = resolve(file);
  const text = await textOf(path);
  const outcome = await parseText(text, path);
  if (outcome.kind === "config") {
    onRead(outcome.config, text);
    for (const warning of outcome.warnings) console.error(`weir: warning: ${warning}`);
    return outcome.config;
  }
  for (const fault of outcome.faults) console.error(fault.text);
  const { length } = outcome.faults;
  throw new Fault("CONFIG_INVALID", `${counted(length, "error")} in ${path}`);
}

/** The file as it is now, with sections laid over it. Faults: CONFIG_INVALID where it cannot be read. */
export async function parseFile(file: string, overlay?: Overlay): Promise<ParsedConfig> {
  return await parseText(await textOf(resolve(file)), file, overlay);
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Fault(
      "CONFIG_INVALID",
      `cannot read ${path}; say where the configuration is with -c FILE`,
      { cause },
    );
  });
}

/** The text that the file had; what it names by `${...}` is read now. */
export async function parseText(
  text: string,
  file: string,
  overlay?: Overlay,
): Promise<ParsedConfig> {
  const path = resolve(file);
  return await parseConfig(text, {
    file: path,
    cwd: dirname(path),
    env: process.env,
    readFile: readValueFile,
    ...(overlay === undefined ? {} : { overlay }),
  });
}
