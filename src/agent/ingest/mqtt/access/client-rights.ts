/**
 * What one connected client may do, fixed at its login. On the way of every message, so answers are
 * remembered by topic handle: a small table, one place per handle, that grows while handles meet in
 * it. What is forgotten is asked of the patterns again.
 *
 *   table[handle mod size] = 2 * (handle + 1) + allowed
 */

import type { TopicRights } from "./topic-rights.ts";

const SIZE_MIN = 16;
const SIZE_MAX = 1_024;
/** Beyond it an entry is no small integer. Only lent handles get there. */
const HANDLE_MAX = 0x1fff_ffff;

export class ClientRights {
  /** Undefined: everything. */
  readonly #publish: TopicRights | undefined;
  readonly #subscribe: TopicRights | undefined;
  #answers: Int32Array | undefined;

  constructor(rights: {
    readonly publish: TopicRights | undefined;
    readonly subscribe: TopicRights | undefined;
  }) {
    this.#publish = rights.publish;
    this.#subscribe = rights.subscribe;
  }

  mayPublish(topic: string): boolean {
    return this.#publish === undefined || this.#publish.allowsTopic(topic);
  }

  maySubscribe(filter: string): boolean {
    return this.#subscribe === undefined || this.#subscribe.allowsFilter(filter);
  }

  /** Whether a message may be delivered: what waits in a session may be from other rights. */
  mayReceive(topic: string): boolean {
    return this.#subscribe === undefined || this.#subscribe.allowsTopic(topic);
  }

  /** `mayPublish` of the topic `bytes[start, end)`; `handle` names it for good, or is negative. */
  mayPublishTo(handle: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#publish === undefined) return true;
    if (handle < 0 || handle > HANDLE_MAX) return this.mayPublish(textOf(bytes, start, end));
    const answers = (this.#answers ??= new Int32Array(SIZE_MIN));
    const known = answers[handle & (answers.length - 1)]!;
    if (known >> 1 === handle + 1) return (known & 1) === 1;
    const answer = this.mayPublish(textOf(bytes, start, end));
    this.#remember(handle, answer, known !== 0);
    return answer;
  }

  #remember(handle: number, answer: boolean, meets: boolean): void {
    let answers = this.#answers!;
    if (meets && answers.length < SIZE_MAX) {
      answers = new Int32Array(answers.length * 2);
      this.#answers = answers;
    }
    answers[handle & (answers.length - 1)] = 2 * (handle + 1) + Number(answer);
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}
