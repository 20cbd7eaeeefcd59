/** The raw side of an agent: requests with their answers, and whence they come besides HTTP. */

import type { Drain } from "../../sync/drain.ts";
import type { TableStore } from "../../store/tables/table-store.ts";
import { Query } from "../query/queries.ts";
import type { UplinkParts } from "../uplinks/uplink-parts.ts";
import { openCommands } from "../uplinks/uplinks.ts";
import type { CommandReader, CommandReaderOptions } from "./command-reader.ts";
import { RawAnswers, type RawAnswersOptions } from "./raw-answers.ts";
import type { RawSideCounters } from "./raw-side-counters.ts";

export type RawSideOptions = UplinkParts &
  Pick<CommandReaderOptions, "trustedNow"> &
  Pick<RawAnswersOptions, "kv" | "catalog" | "onStored"> & {
    readonly tables: TableStore;
    readonly drain: Drain;
  };

/** Nothing is read before it is started. Faults: STORE_FAILED where a stored request is damaged. */
export async function openRawSide(options: RawSideOptions): Promise<RawSide> {
  const { config, doors, store, kv, catalog, tables, drain, onStored } = options;
  const answers = new RawAnswers({
    agent: config.agent,
    store,
    kv,
    catalog,
    clock: doors.clock,
    random: doors.random,
    openQuery: () => new Query(catalog, tables.snapshot(), () => undefined),
    hasUplinks: config.uplinks.length > 0,
    onStored: () => {
      drain.wake();
      onStored();
    },
  });
  return new RawSide(answers, await openCommands({ ...options, answers }));
}

export class RawSide {
  readonly answers: RawAnswers;
  readonly #commands: CommandReader | undefined;

  /** Use openRawSide. */
  constructor(answers: RawAnswers, commands: CommandReader | undefined) {
    this.answers = answers;
    this.#commands = commands;
  }

  get counters(): RawSideCounters {
    const { counters } = this.answers;
    return this.#commands === undefined
      ? counters
      : { ...counters, commands: this.#commands.counters };
  }

  start(): void {
    this.answers.start();
    this.#commands?.start();
  }

  async close(): Promise<void> {
    await this.#commands?.close();
    await this.answers.close();
  }
}
