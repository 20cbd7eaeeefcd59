/** Files that come with weir to be put in their places: beside the sources in deploy/, or inside the packed file. */

import { readFileSync } from "node:fs";
import { getAsset, isSea } from "node:sea";
import { fileURLToPath } from "node:url";

export const ownFileNames = ["weir.service", "sysusers.conf", "gateway.yaml"] as const;
export type OwnFileName = (typeof ownFileNames)[number];

/** Its text. */
export function ownFile(name: OwnFileName): string {
  if (isSea()) return getAsset(name, "utf8");
  return readFileSync(fileURLToPath(new URL(`../../../deploy/${name}`, import.meta.url)), "utf8");
}
