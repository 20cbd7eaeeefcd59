/**
 * The status under a node. Each change goes to every open editor, so the newest is shown at most once
 * per flowLimits.statusMs.
 */

import { isDeepStrictEqual } from "node:util";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { RedNode, Status } from "../red.ts";

export class StatusLine {
  readonly #node: Pick<RedNode, "status">;
  #shown: Status = {};
  #wanted: Status | (() => Status) = {};
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(node: Pick<RedNode, "status">) {
    this.#node = node;
  }

  /** One that costs something to make is given as what makes it: that is called when it is shown. */
  show(status: Status | (() => Status)): void {
    this.#wanted = status;
    if (this.#isClosed) return;
    if (this.#timer === undefined) this.#send();
  }

  /** Nothing is shown any more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#node.status({});
  }

  #send(): void {
    const wanted = typeof this.#wanted === "function" ? this.#wanted() : this.#wanted;
    if (isDeepStrictEqual(wanted, this.#shown)) return;
    this.#shown = wanted;
    this.#node.status(this.#shown);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, flowLimits.statusMs);
  }
}
