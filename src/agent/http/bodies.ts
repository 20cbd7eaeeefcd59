/**
 * Bodies of requests, read whole within bounds. What a body may come to is taken from a common bound before
 * its first byte, as it was announced; who finds that used up is told to come later. A client that goes, or
 * is too slow (limits.httpRequestWaitMs), gives it back.
 */

import type { IncomingMessage } from "node:http";
import { limits } from "../../core/limits.ts";

export type Body =
  | {
      readonly kind: "whole";
      /** The caller's until it is done. */
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "tooLarge" }
  | { readonly kind: "busy" }
  /** The client is gone, with the rest of it. */
  | { readonly kind: "gone" };

export class Bodies {
  readonly #bytesMax: number;
  #bytes = 0;
  #count = 0;

  /** Absent: limits.postBodiesBytesMax. */
  constructor(bounds?: { readonly postBodiesBytesMax: number }) {
    this.#bytesMax = bounds?.postBodiesBytesMax ?? limits.postBodiesBytesMax;
  }

  /** Reads the body, and has its bytes counted until `use` is over. */
  async read<Result>(
    request: IncomingMessage,
    use: (body: Body) => Promise<Result>,
  ): Promise<Result> {
    const announced = request.headers["content-length"];
    const bytes = announced === undefined ? limits.postBodyBytesMax : Number(announced);
    if (bytes > limits.postBodyBytesMax) return await use({ kind: "tooLarge" });
    if (this.#count >= limits.postsMax || this.#bytes + bytes > this.#bytesMax) {
      return await use({ kind: "busy" });
    }
    this.#bytes += bytes;
    this.#count += 1;
    try {
      return await use(await readUpTo(request, bytes));
    } finally {
      this.#bytes -= bytes;
      this.#count -= 1;
    }
  }
}

/** `bytesMax`: what was announced, which Node holds the client to, or what any body may have. */
async function readUpTo(request: IncomingMessage, bytesMax: number): Promise<Body> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    // What is left of one that is too large is not read, but its client is still to be answered.
    const all: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
    for await (const part of all) {
      bytes += part.length;
      if (bytes > bytesMax) return { kind: "tooLarge" };
      parts.push(part);
    }
  } catch {
    return { kind: "gone" };
  }
  const [first] = parts;
  return { kind: "whole", bytes: parts.length === 1 && first ? first : Buffer.concat(parts) };
}
