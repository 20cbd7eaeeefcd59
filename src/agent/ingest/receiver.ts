/**
 * The seam between whatever brings messages (the MQTT front, HTTP, a replayed file) and the open
 * batch. Bytes in, a yes or no out; acknowledging is the bringer's affair, told when by `Gate`.
 */

/** A topic that no source wants. */
export const NO_SOURCE = -1;

export interface Receiver {
  /**
   * The handle of the topic in `bytes[start, end)`, or NO_SOURCE. Looked up by bytes; does not
   * allocate for a known topic.
   */
  topicOf(bytes: Uint8Array, start: number, end: number): number;
  /**
   * Decodes the payload in `bytes[start, end)` into the open batch. The bytes are not kept.
   * False: the batch is full and nothing was taken; offer the message again after `Gate.room`.
   * True: it is in the open batch as readings, or as a counted dead letter; acknowledge it when
   * that batch is durable.
   */
  receive(topic: number, bytes: Uint8Array, start: number, end: number): boolean;
  /**
   * Counts a message of the topic in `bytes[start, end)`, for which `topicOf` said NO_SOURCE. To be
   * called once for each, where it is certain that the message is the broker's alone: a topic may be
   * looked up more than once.
   */
  decline(bytes: Uint8Array, start: number, end: number): void;
  /** Counts a message of this topic that was given up before it could be received. */
  shed(topic: number): void;
}

/**
 * What the loop tells everyone who holds acknowledgements. One batch is open, at most one is sealed
 * (on its way to the disk); an acknowledgement belongs to the batch that was open when `receive`
 * returned true.
 */
export interface Gate {
  /** The open batch is sealed; what is received from now on belongs to the next. */
  seal(): void;
  /** The sealed batch is durable: send its acknowledgements. */
  release(): void;
  /** There is room again: offer what was refused. */
  room(): void;
  /** The sealed and the open batch are lost (the disk failed): nobody is acknowledged; senders must send again. */
  abandon(): void;
}
