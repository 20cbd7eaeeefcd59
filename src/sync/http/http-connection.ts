/**
 * What a lane needs of a connection to an endpoint: one POST at a time, kept alive between them. The
 * door has the real one (src/agent/doors/http-client.ts).
 */

import type { Lane } from "../../store/outbox/lane.ts";

export type Post = {
  /** Of this delivery; those that each POST has are the door's. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read only until it is answered. */
  readonly body: Uint8Array;
};

export type Answer = {
  readonly status: number;
  /** Without parameters, in lower case; empty where there is none. */
  readonly contentType: string;
  /** So long it asks to be left alone; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;
  /** Where a redirection leads, without login and query. */
  readonly location: string | undefined;
  /** How its body begins, as one line for people, none of our secrets in it; empty where it is no text. */
  readonly words: string;
};

export interface HttpConnection {
  /**
   * Connects where it is not connected. Faults: CONNECT_FAILED, TLS_FILE_UNUSABLE, UPLINK_LOGIN_REFUSED
   * before anything was sent; UPLINK_UNREACHABLE: nobody knows whether it was taken.
   */
  post(post: Post): Promise<Answer>;
  /** On its sockets so far. */
  readonly traffic: { readonly sent: number; readonly received: number };
  /** A POST that is under way is lost. */
  close(): void;
}

/** Touches nothing yet. */
export type ConnectHttp = (lane: Lane) => HttpConnection;
