/**
 * The file uplink: records as NDJSON files in a folder, the embedded default. Each record is in the
 * files exactly once, across crashes at any point (see file-lane.ts); closed files are the readers'
 * to take away. It never removes a file: how many are kept is the affair of whoever reads them.
 */

import type { Clock, Disk } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { byLane, type Lane, lanes } from "../store/outbox.ts";
import { FileLane } from "./file-lane.ts";
import type { Delivery, Incidents, Receipt, Uplink } from "./uplink.ts";

export type FileUplinkOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Absolute; made where it is missing. */
  readonly directory: string;
  /** Unique among the uplinks; "files" unless there are several. */
  readonly name?: string;
  /** A file is closed before it grows beyond this; one delivery may still be larger. */
  readonly fileBytesMax?: number;
  /** An open file that holds records is closed after this. */
  readonly fileAgeMs?: number;
  /** Reads from the state store: StateStore.get. */
  readonly get: (key: string) => Uint8Array | undefined;
};

/** The uplink; it touches nothing before `open`. */
export function openFileUplink(options: FileUplinkOptions): Uplink {
  return new FileUplink(options);
}

type OpenFile = { readonly file: number; readonly since: number };

class FileUplink implements Uplink {
  readonly name: string;
  readonly #place: { readonly disk: Disk; readonly directory: string };
  readonly #clock: Clock;
  readonly #ageMsMax: number;
  readonly #lanes: Readonly<Record<Lane, FileLane>>;
  /** The open file of a lane, once it holds a record, and since when (monotonic ms). */
  readonly #open: Record<Lane, OpenFile | undefined> = { alerts: undefined, summaries: undefined };

  constructor({ disk, clock, directory, get, ...options }: FileUplinkOptions) {
    this.name = options.name ?? "files";
    this.#place = { disk, directory };
    this.#clock = clock;
    this.#ageMsMax = options.fileAgeMs ?? limits.uplinkFileAgeMs;
    const fileBytesMax = options.fileBytesMax ?? limits.uplinkFileBytesMax;
    const parts = { disk, directory, get, uplink: this.name, fileBytesMax };
    this.#lanes = byLane((lane) => new FileLane({ ...parts, lane }));
  }

  get incidents(): Incidents {
    const { alerts, summaries } = this.#lanes;
    return {
      count: alerts.incidents.count + summaries.incidents.count,
      last: alerts.incidents.last ?? summaries.incidents.last,
    };
  }

  async open(start: Readonly<Record<Lane, number>>): Promise<readonly Receipt[]> {
    const { disk, directory } = this.#place;
    await disk.makeDirectory(directory);
    await disk.syncDirectory(directory.slice(0, directory.lastIndexOf("/")) || "/");
    const { alerts, summaries } = this.#lanes;
    return [await alerts.open(start.alerts), await summaries.open(start.summaries)];
  }

  async deliver(delivery: Delivery): Promise<Receipt> {
    return await this.#lanes[delivery.lane].deliver(delivery);
  }

  settled({ lane }: Receipt): void {
    this.#lanes[lane].settled();
    const file = this.#lanes[lane].openFile;
    if (file === this.#open[lane]?.file) return;
    this.#open[lane] = file === undefined ? undefined : { file, since: this.#clock.monotonic() };
  }

  get tendMs(): number {
    return Math.min(this.#leftMs("alerts"), this.#leftMs("summaries"));
  }

  async tend(): Promise<readonly Receipt[]> {
    const receipts: Receipt[] = [];
    for (const lane of lanes) {
      if (this.#leftMs(lane) <= 0) receipts.push(await this.#lanes[lane].finish());
    }
    return receipts;
  }

  async close(): Promise<void> {
    await Promise.all([this.#lanes.alerts.close(), this.#lanes.summaries.close()]);
  }

  /** Until the lane's open file is to be closed. */
  #leftMs(lane: Lane): number {
    const open = this.#open[lane];
    if (open === undefined) return Infinity;
    return Math.max(0, open.since + this.#ageMsMax - this.#clock.monotonic());
  }
}
