/** The agent's uplinks, from its configuration: what each is made of, and where it is kept. */

import { relative } from "node:path";
import { checksumOf } from "../../core/checksum.ts";
import { UpstreamFile } from "../../store/care/upstream-file.ts";
import { openFileUplink } from "../../sync/file-uplink.ts";
import type { SavepointPublisher } from "../../sync/kafka/savepoints/publisher.ts";
import type { Uplink } from "../../sync/uplink.ts";
import type { CommandReader, CommandReaderOptions } from "../raw/command-reader.ts";
import type { Config, FileUplinkConfig } from "../config/config.ts";
import type { UplinkParts } from "./uplink-parts.ts";
import type { SavepointParts } from "./uplink-to-kafka.ts";

/** Characters of a folder in a name; it is part of a key of the state store. */
const folderNameMax = 120;

/** None of them touches anything before the drain opens its lanes. */
export async function openUplinks(parts: UplinkParts): Promise<readonly Uplink[]> {
  const uplinks: Uplink[] = [];
  for (const uplink of parts.config.uplinks) {
    if (uplink.kind === "file") uplinks.push(fileUplink(uplink, parts));
    else if (uplink.kind === "kafka") {
      uplinks.push((await import("./uplink-to-kafka.ts")).kafkaUplink(uplink, parts));
    } else if (uplink.kind === "mqtt") {
      uplinks.push((await import("./uplink-to-mqtt.ts")).mqttUplink(uplink, parts));
    } else uplinks.push((await import("./uplink-to-http.ts")).httpUplink(uplink, parts));
  }
  return uplinks;
}

/**
 * What sends savepoints of the agent, where its uplink to Kafka is to have them. One that the process before
 * was sending is removed whatever is configured now: it holds readings.
 */
export async function openSavepoints(
  parts: Omit<SavepointParts, "directory"> & { readonly directory: string | undefined },
): Promise<SavepointPublisher | undefined> {
  const { directory, config } = parts;
  const uplink = config.uplinks.find((each) => each.kind === "kafka");
  if (directory === undefined) return undefined;
  await new UpstreamFile(parts.disk, directory).remove();
  if (uplink?.kind !== "kafka") return undefined;
  const { savepointPublisher } = await import("./uplink-to-kafka.ts");
  return savepointPublisher(uplink, { ...parts, directory });
}

/** What reads commands; undefined where no uplink takes any. */
export async function openCommands(
  parts: UplinkParts & Pick<CommandReaderOptions, "answers" | "trustedNow">,
): Promise<CommandReader | undefined> {
  for (const uplink of parts.config.uplinks) {
    if (uplink.kind !== "kafka" || uplink.commands === undefined) continue;
    return (await import("./uplink-to-kafka.ts")).kafkaCommands(uplink, parts);
  }
  return undefined;
}

function fileUplink(uplink: FileUplinkConfig, { config, doors, store }: UplinkParts): Uplink {
  return openFileUplink({
    disk: doors.disk,
    clock: doors.clock,
    directory: uplink.directory,
    name: fileUplinkName(config, uplink.directory),
    fileBytesMax: uplink.rotateBytes,
    fileAgeMs: uplink.rotateMs,
    get: (key) => store.get(key),
  });
}

/**
 * Where an uplink stands is kept under its name: another folder is another uplink, but one that
 * moved with the data directory is the same.
 */
function fileUplinkName({ dataDirectory }: Config, directory: string): string {
  const path = relative(dataDirectory, directory);
  const isShort = encodeURIComponent(path).length <= folderNameMax;
  return `files:${isShort ? path : checksumOf(new TextEncoder().encode(path)).toString(16)}`;
}
