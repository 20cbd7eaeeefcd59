/**
 * The windows that are upstream, as a consumer keeps them: by pipeline, key and start the newest
 * revision. Names what is there twice.
 */

import { counted } from "../../../core/counted.ts";
import type { Summary } from "../../../core/record.ts";
import type { DecodedRecord } from "../../../store/outbox/record-codec.ts";

export type FoundWindow = {
  readonly id: string;
  readonly place: string;
  readonly summary: Summary;
};

export class WindowBook {
  readonly #windows = new Map<string, FoundWindow>();
  readonly #ids = new Set<string>();
  #records = 0;
  #repeated: string | undefined;
  #gap: string | undefined;

  get records(): number {
    return this.#records;
  }

  /** The first record that was there before, as a sentence. */
  get repeated(): string | undefined {
    return this.#repeated;
  }

  /** The first that says that readings were dropped. */
  get gap(): string | undefined {
    return this.#gap;
  }

  take({ id, record }: DecodedRecord, place: string): void {
    this.#records += 1;
    if (this.#ids.has(id)) this.#repeated ??= `${place}: ${id} is there a second time`;
    this.#ids.add(id);
    if (record.kind === "gap") {
      const { pipeline, records, readings } = record;
      this.#gap ??= `${place}: a gap of pipeline ${pipeline}: ${counted(records, "record")} with ${counted(readings, "reading")}`;
    }
    if (record.kind !== "summary") return;
    const name = id.split("/", 4).join("/");
    const known = this.#windows.get(name);
    if (known !== undefined && known.summary.revision >= record.revision) return;
    this.#windows.set(name, { id, place, summary: record });
  }

  /** Of a pipeline, those that were not withdrawn. */
  windowsOf(pipeline: string): readonly FoundWindow[] {
    return [...this.#windows.values()].filter(
      ({ summary }) => summary.pipeline === pipeline && summary.count > 0,
    );
  }
}
