/**
 * What the pipelines emit during one `apply`, gathered and put into the order of the log before it
 * leaves: by position, then by pipeline, then as emitted. Pipelines run one after another over the
 * columns of a batch; this makes the output the same however the rows were cut into batches.
 */

import type { Alert, Complete, Sink, Summary } from "../core/record.ts";
import { type Position, position } from "../core/units.ts";
import type { Emitter } from "./operator.ts";

type Emission = {
  readonly at: Position;
  readonly rank: number;
  readonly record: Summary | Alert | Complete;
};

export class Emissions implements Emitter {
  at: Position = position(0);
  readonly #gathered: Emission[] = [];
  #rank = 0;

  /** What follows comes from the pipeline of this rank. */
  from(rank: number): void {
    this.#rank = rank;
  }

  summary(summary: Summary): void {
    this.#gathered.push({ at: this.at, rank: this.#rank, record: summary });
  }

  alert(alert: Alert): void {
    this.#gathered.push({ at: this.at, rank: this.#rank, record: alert });
  }

  complete(marker: Complete): void {
    this.#gathered.push({ at: this.at, rank: this.#rank, record: marker });
  }

  /** Hands everything over, in order, and is empty again. */
  flush(sink: Sink): void {
    if (this.#gathered.length === 0) return;
    // The sort is stable: emissions of one pipeline at one position stay as they came.
    this.#gathered.sort((a, b) => a.at - b.at || a.rank - b.rank);
    for (const { at, record } of this.#gathered) {
      if (record.kind === "summary") sink.summary(at, record);
      else if (record.kind === "alert") sink.alert(at, record);
      else sink.complete(at, record);
    }
    this.#gathered.length = 0;
  }
}
