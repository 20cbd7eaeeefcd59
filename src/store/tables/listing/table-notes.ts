/**
 * What reading has found out about tables, each noted once, however often it is read:
 *
 *   damage       a block, or all of it; its file may be missing
 *   unreadable   the disk failed: it may be whole, so nobody changes anything about it for a while
 *
 * Notes live as long as the process; whoever reads again after a start finds damage again.
 */

import { limits } from "../../../core/limits.ts";

export type TableDamage = {
  /** `figures`: all rows can be read, but something that is said of them is not so. */
  readonly extent: "figures" | "part" | "whole" | "missing";
  /** What and where. */
  readonly reason: string;
};

export class TableNotes {
  readonly #damage = new Map<number, TableDamage>();
  readonly #unreadable = new Map<number, { readonly reason: string; until: number | undefined }>();
  #onNoted: () => void = () => undefined;

  /** By table id. */
  get damage(): ReadonlyMap<number, TableDamage> {
    return this.#damage;
  }

  /** Called when damage is noted that was not known. */
  onNoted(run: () => void): void {
    this.#onNoted = run;
  }

  noteDamage(id: number, damage: TableDamage): void {
    const known = this.#damage.get(id);
    if (known !== undefined && rankOf(damage) <= rankOf(known)) return;
    this.#damage.set(id, damage);
    this.#onNoted();
  }

  noteUnreadable(id: number, reason: string): void {
    if (!this.#unreadable.has(id)) this.#unreadable.set(id, { reason, until: undefined });
  }

  /** Why the disk could not read it; undefined where it could. */
  unreadable(id: number): string | undefined {
    return this.#unreadable.get(id)?.reason;
  }

  /** Whether the disk failed to read it since limits.unreadableTableMs; `now` is monotonic. */
  isLeftAlone(id: number, now: number): boolean {
    const note = this.#unreadable.get(id);
    if (note === undefined) return false;
    note.until ??= now + limits.unreadableTableMs;
    if (note.until <= now) this.#unreadable.delete(id);
    return note.until > now;
  }

  /** It is whole after all, or not listed any more. */
  forget(id: number): void {
    this.#damage.delete(id);
    this.#unreadable.delete(id);
  }
}

function rankOf({ extent }: TableDamage): number {
  return extent === "figures" ? 0 : extent === "part" ? 1 : 2;
}
