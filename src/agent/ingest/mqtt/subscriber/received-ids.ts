/**
 * QoS 2 messages that the broker may still send again, by packet id:
 *
 *   free --PUBLISH--> received --batch durable--> durable --PUBREL--> free
 *
 * Kept across connections of the same session, so that a message which is sent again is answered and not
 * received twice. What an earlier connection brought is not under way on the present one, and does not
 * count against what the broker may send, until it is sent again. Five bytes per possible id, reserved
 * with the first of them. Lost with the process: after that a resent reading is recognised by its series,
 * time and value.
 *
 * The id alone is not believed: a broker that was killed and went back to an older store gives ids
 * that we still hold to other messages, without DUP at first. So a print of topic and payload is kept
 * with the id, and an id with another print is a new message.
 *
 * Source: MQTT 3.1.1, 4.3.3, method A/B: the receiver remembers the id until PUBREL.
 */

const IDS = 65_536;

type IdState = "free" | "received" | "durable";

const FREE = 0;
const RECEIVED = 1;
const DURABLE = 2;
/** Durable, and the present connection was not told so. */
const KEPT = 3;

/** Of one session at a broker, across its connections. */
export class ReceivedIds {
  #states: Uint8Array | undefined;
  #prints: Uint32Array | undefined;
  #answeredCount = 0;

  /** Ids that were answered on the present connection and wait for PUBREL. */
  get answeredCount(): number {
    return this.#answeredCount;
  }

  stateOf(id: number): IdState {
    const state = this.#states?.[id] ?? FREE;
    return state === FREE ? "free" : state === RECEIVED ? "received" : "durable";
  }

  /**
   * Whether the message with this print of topic and payload has the id already. If not, what had it
   * is forgotten: the broker will not ask for that any more.
   */
  isHeld(id: number, print: number): boolean {
    this.#prints ??= new Uint32Array(IDS);
    if (this.stateOf(id) !== "free" && this.#prints[id] === print) return true;
    this.release(id);
    this.#prints[id] = print;
    return false;
  }

  /** The message of a free id was received. */
  receive(id: number): void {
    this.#states ??= new Uint8Array(IDS);
    this.#states[id] = RECEIVED;
  }

  /** Its batch is durable; `isAnswered`: the present connection is told so. */
  settle(id: number, { isAnswered }: { readonly isAnswered: boolean }): void {
    const state = this.#states?.[id] ?? FREE;
    if (this.#states === undefined || state === FREE || state === DURABLE) return;
    this.#states[id] = isAnswered ? DURABLE : KEPT;
    if (isAnswered) this.#answeredCount += 1;
  }

  /** Another connection of the session begins. O(ids). */
  reconnected(): void {
    this.#answeredCount = 0;
    const states = this.#states;
    if (states === undefined) return;
    for (let id = 0; id < IDS; id++) if (states[id] === DURABLE) states[id] = KEPT;
  }

  /** The broker will not send it again. */
  release(id: number): void {
    if (this.#states === undefined) return;
    if (this.#states[id] === DURABLE) this.#answeredCount -= 1;
    this.#states[id] = FREE;
  }

  /** The session is gone, and the ids with it. */
  clear(): void {
    this.#states?.fill(FREE);
    this.#answeredCount = 0;
  }

  /** Batches are lost: what was in them is to be received again. */
  abandon(): void {
    const states = this.#states;
    if (states === undefined) return;
    for (let id = 0; id < IDS; id++) if (states[id] === RECEIVED) states[id] = FREE;
  }
}
