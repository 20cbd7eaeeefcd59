/** One answer of the HTTP API, before it is sent. */

export type Reply = {
  readonly code: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** An answer in pieces; `source` is what they are made from, disposed of by whoever sends them. */
export type StreamedReply = {
  readonly code: 200;
  readonly type: string;
  readonly pieces: AsyncIterable<string>;
  readonly source: PieceSource;
};

export type PieceSource = Disposable & {
  /** Aborted when it is stopped: nobody waits for the client any more. */
  readonly signal: AbortSignal;
  /** The client is gone. */
  stop(reason: "abandoned"): void;
};

export function json(code: number, value: unknown): Reply {
  return { code, type: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n` };
}

/** An error as every path gives it: a word for programs, a sentence for people. */
export function problem(code: number, error: string, message: string): Reply {
  return json(code, { error, message });
}

export function text(type: string, body: string): Reply {
  return { code: 200, type, body };
}
