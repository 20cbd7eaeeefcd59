/**
 * What an agent knows of configurations from afar, on its disk: the state, which decides, and the audit log,
 * which says why. Each can be lost without the other, and each tells what the other needs most.
 */

import { join } from "node:path";
import { assert } from "../../core/assert.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { AuditLog, type RemoteEvent } from "./audit-log.ts";
import type { RemoteDocument } from "./document.ts";
import type { RemoteOptions } from "./remote-options.ts";
import {
  makeFolder,
  noState,
  readRemoteState,
  type RemoteState,
  writeRemoteState,
} from "./remote-state.ts";

/** Where its files lie in the data directory. */
export function remotePaths(directory: string): { readonly state: string; readonly audit: string } {
  return { state: join(directory, "state.json"), audit: join(directory, "audit.ndjson") };
}

export class Known {
  readonly #options: Pick<RemoteOptions, "disk" | "directory" | "say">;
  readonly audit: AuditLog;
  #state: RemoteState = noState;
  #isUnread = false;
  #isUnwritten = false;
  #trouble: string | undefined;

  constructor({
    disk,
    clock,
    directory,
    say,
  }: Pick<RemoteOptions, "disk" | "clock" | "directory" | "say">) {
    this.#options = { disk, directory, say };
    this.audit = new AuditLog({ disk, clock, path: remotePaths(directory).audit });
  }

  /**
   * Reads it. What is damaged or gone is forgotten, but for what the audit log has too. Once more where it
   * `isUnread`. Faults: FORMAT_TOO_NEW; DISK_FAILED where it cannot be read: it may well be there, and is not
   * to be forgotten.
   */
  async open(): Promise<void> {
    // What cannot be written later is said now; it is tried again while an agent runs.
    const isMade = await this.#makeFolder();
    if (isMade) this.#trouble = undefined;
    await this.#read();
    this.#isUnread = !isMade && this.#state === noState;
    this.#isUnwritten ||= !isMade && !this.#isUnread;
  }

  async #read(): Promise<void> {
    const { disk, directory } = this.#options;
    const { state } = remotePaths(directory);
    try {
      await this.audit.open();
      this.#state = await readRemoteState(disk, state);
    } catch (error) {
      if (!isEnvironmental(error) || error.code === "FORMAT_TOO_NEW") throw error;
      if (error.code !== "STORE_FAILED") throw unreadable(directory, error);
      await this.#recall(error.message);
    }
    const accepted = this.audit.newest("accepted");
    if (accepted === undefined) return;
    if (this.#state === noState) {
      await this.#recall(`${state} is gone, and the audit log is not`);
    }
    const { trial, ...rest } = this.#state;
    // Taken back by a process that could write down only that.
    if (trial !== undefined && accepted.digest === rest.digest && this.audit.isBack(accepted)) {
      await this.settle(rest);
    }
  }

  /** Which version was the highest; the document itself comes again, from its topic. */
  async #recall(reason: string): Promise<void> {
    const accepted = this.audit.newest("accepted");
    const isBack = accepted !== undefined && this.audit.isBack(accepted);
    await this.note({ kind: "unusable", code: "damaged", reason, digest: "" });
    const { version: highest = 0, digest = "" } = accepted ?? {};
    await this.settle({ highest, digest: isBack ? digest : "" });
  }

  get state(): RemoteState {
    return this.#state;
  }
  /** Its folder could not be made: what is in the way, or another disk, may hide what is known. `open` again. */
  get isUnread(): boolean {
    return this.#isUnread;
  }
  /** Something of it stands in memory only, and `write` is to be tried again. */
  get isUnwritten(): boolean {
    return this.#isUnwritten;
  }
  /** What cannot be written down. */
  get trouble(): string | undefined {
    return this.#trouble ?? this.audit.trouble;
  }

  /** It was in force when the state was lost: it may come again. */
  isLost({ digest }: Pick<RemoteDocument, "digest">): boolean {
    return this.#state.digest === "" && this.audit.newest("accepted")?.digest === digest;
  }

  /** False where the disk did not take it: then nothing has changed. */
  async store(state: RemoteState): Promise<boolean> {
    const { disk, directory } = this.#options;
    if (!(await this.#makeFolder())) return false;
    try {
      await writeRemoteState(disk, remotePaths(directory).state, state);
    } catch (error) {
      return this.#failed(error);
    }
    this.#state = state;
    this.#isUnwritten = false;
    this.#trouble = undefined;
    return true;
  }

  async #makeFolder(): Promise<boolean> {
    const { disk, directory } = this.#options;
    try {
      await makeFolder(disk, directory);
      return true;
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): false {
    if (!isEnvironmental(error)) throw error;
    const { directory } = this.#options;
    const remedy = ["EEXIST", "ENOTDIR"].includes(error.code)
      ? `; a file is in the way of ${directory}: move it`
      : "";
    this.#trouble = `what is known of remote configurations cannot be written: ${error.message}${remedy}`;
    return false;
  }

  /** It counts where it cannot be written, too. */
  async settle(state: RemoteState): Promise<void> {
    this.#state = state;
    this.#isUnwritten = !(await this.store(state));
  }

  /** False where the disk still does not take what stands in memory. */
  write(): Promise<boolean> {
    assert(this.#state !== noState, "nothing known is written over nothing that may be known");
    return this.store(this.#state);
  }

  async note(event: RemoteEvent): Promise<void> {
    if (await this.audit.note(event)) this.#options.say("remote", event);
  }
}

function unreadable(directory: string, cause: Error & { readonly code: string }): Fault {
  const what = `what is known of remote configurations in ${directory} cannot be read (${cause.code})`;
  const remedy = "let the user that runs weir read it, or check the disk";
  return new Fault("DISK_FAILED", `${what}: ${remedy}`, { cause, facts: { directory } });
}
