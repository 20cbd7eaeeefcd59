/**
 * The gateway's clock as the operators see it: time that has passed, never going back, whatever the
 * wall clock does. Idle timeouts, waits and periods are measured with it.
 *
 *   wall    10:00:00  10:00:05 | 09:30:00 (stepped back)  09:30:02 | 2026 (trusted at last)  +1 s
 *   steady  10:00:00  10:00:05 | 10:00:05                 10:00:07 | 10:00:07                +1 s
 *
 * A step back, or the step when the clock becomes trusted, is no time that passed. A step forward
 * within the same trust is: a gateway that was off for a week comes back to silent devices.
 * Observations closer together than limits.tickMs are left out, so the operators tick seldom.
 */

import { limits } from "../core/limits.ts";
import type { Millis } from "../core/units.ts";
import { cellTable, type StateTable } from "./state-table.ts";

const STEADY = 0;
const WALL = 1;
const TRUST = 2;
const CELLS = 3;
/** Values of the TRUST cell; 0 before the first observation. */
const UNTRUSTED = 1;
const TRUSTED = 2;

export class GatewayClock {
  readonly #cells = new Float64Array(CELLS);
  readonly table: StateTable = cellTable("clock", this.#cells);

  /** Milliseconds; starts at the first clock observed. */
  get steady(): number {
    return this.#cells[STEADY]!;
  }

  /** Takes the clock of a frame. True when the operators must tick. */
  observe(clock: Millis, trusted: boolean): boolean {
    const cells = this.#cells;
    const trust = trusted ? TRUSTED : UNTRUSTED;
    const passed = cells[TRUST] === trust ? clock - cells[WALL]! : 0;
    const isFirst = cells[TRUST] === 0;
    if (!isFirst && cells[TRUST] === trust && passed >= 0 && passed < limits.tickMs) return false;
    cells[STEADY] = isFirst ? clock : cells[STEADY]! + Math.max(0, passed);
    cells[WALL] = clock;
    cells[TRUST] = trust;
    this.table.touch(0);
    return isFirst || passed > 0;
  }

  /** The wall clock at which a frame would tick and find `steady` at or past `deadline`. */
  wallAt(deadline: number): number {
    const wait = Math.max(limits.tickMs, deadline - this.#cells[STEADY]!);
    return this.#cells[WALL]! + wait;
  }
}
