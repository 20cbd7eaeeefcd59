/**
 * What an agent knows of configurations from afar, in one small file that is replaced whole:
 *
 *   state.json   {"v":1,"highest":7,"digest":"..","good":"weir-config 1 ..","trial":{"text":"..","tries":1,"stops":0,"troubles":[..]}}
 *
 * `good` is the last one that was proven, `trial` the one that is not yet. Documents are kept as they
 * came, and verified again at each start: a key that is taken out of the local file takes what it signed
 * with it.
 */

import { dirname } from "node:path";
import type { Disk } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { ifThere, readWhole, replaceWhole } from "../../store/care/whole-files.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  listOf,
  textOf,
  wholeOf,
} from "../../store/state/stored-json.ts";

export type Trial = {
  /** The document as it came. */
  readonly text: string;
  /** Starts with it so far that did not end well, the present one among them. */
  readonly tries: number;
  /** Starts that ended as they were asked to, and are not among `tries`. */
  readonly stops: number;
  /** What was wrong before it came: it is not blamed for that. */
  readonly troubles: readonly string[];
};

export type RemoteState = {
  /** The highest version that was ever accepted, and its document. */
  readonly highest: number;
  readonly digest: string;
  /** Absent: the local file alone. */
  readonly good?: string;
  readonly trial?: Trial;
};

/** The document that an agent would start with next; it is not verified here. */
export function documentIn({ good, trial }: RemoteState): string | undefined {
  return trial?.text ?? good;
}

export const noState: RemoteState = { highest: 0, digest: "" };

/** `noState` itself where there is no file. Faults: STORE_FAILED where it is damaged, FORMAT_TOO_NEW; rejects as the disk does. */
export async function readRemoteState(
  disk: Pick<Disk, "open">,
  path: string,
): Promise<RemoteState> {
  const bytes = await ifThere(() => readWhole(disk, path));
  if (bytes === undefined) return noState;
  const stored = decodeJson(bytes, path);
  const { v } = stored.fields;
  if (typeof v !== "number" || !Number.isSafeInteger(v) || v < 1) {
    throw damaged(path, "v is no version of the format");
  }
  if (v !== 1) {
    throw new Fault("FORMAT_TOO_NEW", `${path} was written by a later weir: use that one`);
  }
  const { good } = stored.fields;
  if (good !== undefined && typeof good !== "string") throw damaged(path, "good is no text");
  const trial = trialOf(stored.fields["trial"], path);
  return {
    highest: wholeOf(stored, "highest"),
    digest: textOf(stored, "digest"),
    ...(good === undefined ? {} : { good }),
    ...(trial === undefined ? {} : { trial }),
  };
}

function trialOf(value: unknown, place: string): Trial | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null) throw damaged(place, "trial is no object");
  const stored = { place, fields: { ...value } };
  const troubles = listOf(stored, "troubles").filter((each) => typeof each === "string");
  // One that was written before stops were counted has none.
  const stops = "stops" in value ? wholeOf(stored, "stops") : 0;
  return { text: textOf(stored, "text"), tries: wholeOf(stored, "tries"), stops, troubles };
}

/** Makes the folder, for good. Rejects as the disk does. */
export async function makeFolder(disk: Disk, directory: string): Promise<void> {
  await disk.makeDirectory(directory);
  await disk.syncDirectory(dirname(directory));
}

/** After a crash the file is the old one, or the new one. Rejects as the disk does. */
export async function writeRemoteState(
  disk: Disk,
  path: string,
  state: RemoteState,
): Promise<void> {
  await replaceWhole(disk, path, encodeJson({ v: 1, ...state }));
}
