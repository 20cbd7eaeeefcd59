/** An endpoint at the seam of a lane: takes what is posted, or answers as a test says. */

import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { Fault } from "../../../src/core/faults.ts";
import { type Lane, lanes } from "../../../src/store/outbox/lane.ts";
import type {
  Answer,
  ConnectHttp,
  HttpConnection,
  Post,
} from "../../../src/sync/http/http-connection.ts";

/**
 * `cut` before the endpoint has it, `lose` after: the connection ends and nobody is answered. `hang`:
 * nothing more is said. A number is a status.
 */
export type PostFate = "take" | "cut" | "lose" | "hang" | number | Partial<Answer>;

type TakenRecord = { readonly id: string; readonly text: string };

export class EndpointModel {
  isUp = true;
  fate: (post: PostSeen) => PostFate = () => "take";
  /** All that came, whatever was answered. */
  readonly posts: PostSeen[] = [];
  /** What was taken, in order, repetitions among it. */
  readonly taken: Record<Lane, TakenRecord[]>;
  connections = 0;
  readonly #bodyOf = new Map<string, string>();

  constructor() {
    this.taken = Object.fromEntries(lanes.map((lane) => [lane, []])) as unknown as Record<
      Lane,
      TakenRecord[]
    >;
  }

  connect: ConnectHttp = () => {
    this.connections += 1;
    return new ModelConnection(this);
  };

  /** Undefined: no answer comes. */
  async answer(post: Post): Promise<Answer | "hang"> {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.isUp) throw new Fault("CONNECT_FAILED", "cannot connect to it: ECONNREFUSED");
    const seen = seenOf(post);
    const fate = this.fate(seen);
    if (fate === "cut") throw lost();
    this.posts.push(seen);
    const body = Buffer.from(post.body).toString("base64");
    assert.equal(this.#bodyOf.get(seen.key) ?? body, body, `${seen.key} is one body for ever`);
    this.#bodyOf.set(seen.key, body);
    const answer = { ...accepted, ...(typeof fate === "object" ? fate : {}) };
    const status = typeof fate === "number" ? fate : answer.status;
    if (status < 300) this.taken[seen.lane].push(...seen.records);
    if (fate === "lose") throw lost();
    return fate === "hang" ? "hang" : { ...answer, status };
  }
}

const accepted: Answer = {
  status: 202,
  contentType: "",
  retryAfterMs: undefined,
  location: undefined,
  words: "",
};

function lost(): Fault {
  return new Fault("UPLINK_UNREACHABLE", "https://in.example/records: no answer: ECONNRESET");
}

class ModelConnection implements HttpConnection {
  readonly traffic = { sent: 0, received: 0 };
  readonly #endpoint: EndpointModel;
  #fail: ((fault: Fault) => void) | undefined;

  constructor(endpoint: EndpointModel) {
    this.#endpoint = endpoint;
  }

  async post(post: Post): Promise<Answer> {
    assert.equal(this.#fail, undefined, "one POST at a time");
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#fail = reject;
    this.traffic.sent += post.body.length;
    this.#endpoint.answer(post).then((answer) => {
      if (answer !== "hang") resolve(answer);
    }, reject);
    try {
      return await promise;
    } finally {
      this.#fail = undefined;
    }
  }

  close(): void {
    this.#fail?.(lost());
  }
}

export type PostSeen = {
  readonly lane: Lane;
  readonly key: string;
  readonly headers: Post["headers"];
  readonly first: number;
  readonly records: readonly TakenRecord[];
  /** Of the body as it came. */
  readonly bytes: number;
};

function seenOf({ headers, body }: Post): PostSeen {
  const { "weir-outbox": outbox = "", "weir-lane": name, "weir-first": number } = headers;
  const lane = lanes.find((each) => each === name);
  assert.ok(lane !== undefined, `${String(name)} is a lane`);
  const first = Number(number);
  const plain = headers["content-encoding"] === "gzip" ? gunzipSync(body) : Buffer.from(body);
  const records =
    headers["content-type"] === "application/x-ndjson"
      ? plain
          .toString()
          .split("\n")
          .slice(0, -1)
          .map((text, index) => ({ id: `${outbox}:${lane}:${first + index}`, text }))
      : (JSON.parse(plain.toString()) as { id: string; data: unknown }[]).map(({ id, data }) => ({
          id,
          text: JSON.stringify(data),
        }));
  const key = headers["idempotency-key"] ?? "";
  assert.equal(key, `${outbox}:${lane}:${first}-${first + records.length}`);
  return { lane, key, headers, first, records, bytes: body.length };
}
