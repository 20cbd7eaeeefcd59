/**
 * Takes the place of node-gyp-build-optional-packages in the packed file, for lmdb: its native part is
 * an asset, and the system loads such parts only from a file. The file is in a folder that nobody else
 * may enter, and gone again once it is loaded.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRawAsset } from "node:sea";
import { Fault } from "../../src/core/faults.ts";

export const addonAsset = "lmdb.node";

/** Folders to try, in order: on some, programs may not be run from where temporary files go. */
function folders(): readonly string[] {
  const { WEIR_NATIVE_DIR, RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = process.env;
  const named = [WEIR_NATIVE_DIR, RUNTIME_DIRECTORY?.split(":")[0], XDG_RUNTIME_DIR];
  const all = [...named, tmpdir(), "/dev/shm"];
  return all.filter((folder): folder is string => folder !== undefined && folder !== "");
}

/** Throws the Fault STORE_FAILED, with what was tried. */
// oxlint-disable-next-line import/no-default-export -- lmdb imports it so
export default function loadAddon(): unknown {
  const bytes = new Uint8Array(getRawAsset(addonAsset));
  const tried: string[] = [];
  for (const folder of folders()) {
    try {
      return loadFrom(folder, bytes);
    } catch (error) {
      tried.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Fault(
    "STORE_FAILED",
    `LMDB's native part cannot be loaded (${tried.join("; ")}); ` +
      "set WEIR_NATIVE_DIR to a folder that programs may be run from",
  );
}

function loadFrom(folder: string, bytes: Uint8Array): unknown {
  const own = mkdtempSync(join(folder, "weir-native-"));
  try {
    const file = join(own, addonAsset);
    writeFileSync(file, bytes, { mode: 0o500 });
    const module = { exports: {} };
    process.dlopen(module, file);
    return module.exports;
  } finally {
    rmSync(own, { recursive: true });
  }
}
