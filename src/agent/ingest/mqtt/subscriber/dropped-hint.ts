/**
 * What a broker says it dropped: Mosquitto counts in `$SYS/broker/publish/messages/dropped`, for all
 * its clients together, and tells no client what it was. A growing count is a hint, not a proof, that
 * something of ours is among it.
 */

export const droppedTopic = "$SYS/broker/publish/messages/dropped";

export class DroppedHint {
  readonly topicBytes: Uint8Array = Buffer.from(droppedTopic);
  #asking: "never" | "under way" | "answered" | "refused" = "never";
  #last: number | undefined;
  #count = 0;

  /** False once the broker refused to tell, or went away instead of answering. */
  get isWanted(): boolean {
    return this.#asking === "never" || this.#asking === "answered";
  }

  asked(): void {
    this.#asking = "under way";
  }

  answered(isTaken: boolean): void {
    this.#asking = isTaken ? "answered" : "refused";
  }

  /** Messages dropped since we listen; undefined where the broker does not say. */
  get count(): number | undefined {
    return this.#last === undefined ? undefined : this.#count;
  }

  /** The payload of a message of the topic. */
  said(payload: string): void {
    if (!/^\d{1,15}$/.test(payload)) return;
    const total = Number(payload);
    // A smaller one is of a broker that was started anew, and counts from 0.
    const since = this.#last === undefined ? total : this.#last <= total ? this.#last : 0;
    this.#count += total - since;
    this.#last = total;
  }
}
