/**
 * Topic aliases of one client: numbers that stand for topics it has named. They end with the
 * connection. Bounded in number, which the client is told, and in bytes, which it may find out.
 *
 * Source: MQTT 5 (OASIS), 3.3.2.3.4.
 */

import type { ProtocolFault } from "../packet/parser.ts";
import type { Publish5Offsets } from "../packet/publish-5.ts";

export class Aliases {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #topics: (Uint8Array | undefined)[] = [];
  #bytes = 0;

  constructor(options: { readonly countMax: number; readonly bytesMax: number }) {
    this.#countMax = options.countMax;
    this.#bytesMax = options.bytesMax;
  }

  /**
   * Remembers the topic in `offsets` where it comes with an alias, and puts the remembered one in
   * where it is left out. Allocates only for a topic that is new.
   */
  resolve(offsets: Publish5Offsets): ProtocolFault | undefined {
    const { topicAlias, topicStart, topicEnd } = offsets;
    if (topicAlias === 0) return undefined;
    if (topicAlias > this.#countMax) return "alias_invalid";
    const known = this.#topics[topicAlias];
    if (topicStart < topicEnd) return this.#remember(offsets, known);
    if (known === undefined) return "alias_invalid";
    offsets.names = known;
    offsets.topicStart = 0;
    offsets.topicEnd = known.length;
    return undefined;
  }

  #remember(offsets: Publish5Offsets, known: Uint8Array | undefined): ProtocolFault | undefined {
    const { names, topicAlias, topicStart, topicEnd } = offsets;
    const bytes = this.#bytes + topicEnd - topicStart - (known?.length ?? 0);
    if (bytes > this.#bytesMax) return "alias_bytes_exceeded";
    if (known !== undefined && isSame(known, names, topicStart, topicEnd)) return undefined;
    this.#bytes = bytes;
    while (this.#topics.length < topicAlias) this.#topics.push(undefined);
    // Not slice: of a Buffer that is the same memory, which the next read overwrites.
    this.#topics[topicAlias] = new Uint8Array(names.subarray(topicStart, topicEnd));
    return undefined;
  }
}

function isSame(topic: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (topic.length !== end - start) return false;
  for (let i = 0; i < topic.length; i++) if (topic[i] !== bytes[start + i]) return false;
  return true;
}
