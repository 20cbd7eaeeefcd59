/** What `weir store erase` prints. */

import { counted } from "../../core/counted.ts";
import { nameOfTags } from "../../core/catalog.ts";
import type { NotedBackup, Whereabouts } from "../../store/care/backup-list.ts";
import type { LogDamage } from "../../store/log/log.ts";
import type { Erased } from "../erasure/erasure.ts";
import { printable } from "./column-text.ts";
import { timeText } from "./store-text.ts";

export type KnownBackup = NotedBackup & { readonly now: Whereabouts };

/** What was erased; undefined where that was not confirmed. */
export type ErasureDone = Erased & { readonly readings: number; readonly quarantinedFiles: number };

export type ErasureReport = {
  readonly series: readonly string[];
  readonly damage: LogDamage;
  readonly done: ErasureDone | undefined;
  readonly backups: readonly KnownBackup[];
  readonly forgotten: number;
  /** Files of the folder that is meant for them. */
  readonly savepoints: readonly string[];
};

const namesShownMax = 20;

export function reportJson({
  series,
  damage,
  done,
  backups,
  forgotten,
  savepoints,
}: ErasureReport): string {
  const { kept = [], ...erased } = done ?? {};
  return JSON.stringify({
    series,
    logDamage: damage,
    erased: done === undefined ? null : erased,
    kept: kept.map(({ pipeline, key }) => ({ pipeline, key: nameOfTags(key) })),
    backups,
    forgottenBackups: forgotten,
    savepoints,
  });
}

export function reportText(
  { series, damage, done, backups, forgotten, savepoints }: ErasureReport,
  directory: string,
): string {
  const lines =
    done === undefined
      ? [`would be erased from ${directory}: ${shown(series)}`]
      : [
          `erased from ${directory}: ${shown(series)}`,
          `  ${counted(done.readings, "reading")}, ${counted(done.records, "record")} that waited for an uplink, ${counted(done.deadLetters, "dead letter")}`,
          ...unknownText(done),
          ...keptText(done),
        ];
  if (damage.places.length > 0) {
    lines.push(
      `the log was damaged and has lost ${counted(damage.lostRows, "reading")}: ${damage.places.join("; ")}`,
    );
  }
  if (backups.length + forgotten + savepoints.length > 0) {
    lines.push("copies that may still have them:");
  }
  for (const { target, created, now } of backups) {
    lines.push(`  backup of ${timeText(created)} in ${printable(target)} (${now})`);
  }
  if (forgotten > 0) lines.push(`  ${forgotten} older backups that are not listed any more`);
  for (const path of savepoints) lines.push(`  savepoint ${path}`);
  lines.push("not erased: names of series and texts they sent, and what uplinks have already");
  if (done === undefined) lines.push("nothing was erased yet: say it again with --yes");
  return lines.join("\n");
}

function shown(series: readonly string[]): string {
  const more = series.length - namesShownMax;
  const names = series.slice(0, namesShownMax).join(", ");
  return `${series.length} series: ${names}${more > 0 ? ` and ${more} more` : ""}`;
}

function unknownText({ damagedBlocks, quarantinedFiles }: ErasureDone): readonly string[] {
  if (damagedBlocks + quarantinedFiles === 0) return [];
  return [
    `  and what may have held some: ${counted(damagedBlocks, "damaged block")} of the outbox, ${counted(quarantinedFiles, "file")} in quarantine`,
  ];
}

function keptText({ kept }: ErasureDone): readonly string[] {
  if (kept.length === 0) return [];
  return [
    "kept, because other series are in them, too:",
    ...kept.map(({ pipeline, key }) => `  ${pipeline}: ${nameOfTags(key) || "all"}`),
  ];
}
