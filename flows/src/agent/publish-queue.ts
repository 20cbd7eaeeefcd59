/**
 * Messages on their way into an agent: they wait in order, go in bodies of several, and are settled when the
 * agent has them on its disk.
 *
 *   offer ─▶ waiting, bounded ─▶ one POST under way, with a key ─▶ 2xx: settled, durable
 *              │ full: refuse the new one,        │ away, busy: the same body and key again, later
 *              ▼ or drop the oldest               ▼ refused for what is in it: settled with why
 *
 * A body that was lost on the way, or whose answer was, is sent again under its Idempotency-Key, so the
 * agent takes it once, also when it was killed in between. What waits is in the memory of Node-RED: the
 * durable place is the agent.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import { AgentAway, type AgentAnswer, type AgentClient, refusalOf } from "./agent-client.ts";
import { Fifo } from "./fifo.ts";
import { Retry, waitFor } from "./retry.ts";

export type WhenFull = "refuse" | "drop-oldest";

export type PublishCounts = {
  readonly waiting: number;
  /** Durable at the agent. */
  readonly published: number;
  /** Given up because the queue was full: settled with an Error each. */
  readonly dropped: number;
  /** Refused by the agent for what is in them. */
  readonly refused: number;
  /** Durable, but no source of the agent could read them: they are dead letters there. */
  readonly undecoded: number;
  /** Why nothing goes now. */
  readonly trouble: string | undefined;
};

/** Called once, when the message is durable, or with why it never will be. */
export type Settle = (error?: Error) => void;

type Waiting = { readonly topic: string; readonly line: string; readonly settle: Settle };

export type PublishQueueOptions = {
  readonly client: AgentClient;
  readonly messagesMax: number;
  /** Of what waits, in characters of JSON. */
  readonly lengthMax: number;
  readonly whenFull: WhenFull;
  /** Makes keys that nobody else makes: the id of the node. */
  readonly name: string;
  readonly onChange: () => void;
};

export class PublishQueue {
  readonly #options: PublishQueueOptions;
  readonly #closing = new AbortController();
  readonly #retry = new Retry();
  /** Of this life of the node: keys are never given twice. */
  readonly #life = crypto.randomUUID().slice(0, 13);
  readonly #counts = { published: 0, dropped: 0, refused: 0, undecoded: 0 };
  readonly #waiting = new Fifo<Waiting>();
  /** In the body that is on its way, or will be tried again. */
  #underWay: readonly Waiting[] = [];
  /** Of both. */
  #length = 0;
  /** Bodies so far. */
  #posts = 0;
  #running: Promise<void> | undefined;
  #trouble: string | undefined;
  #isClosed = false;

  constructor(options: PublishQueueOptions) {
    this.#options = options;
  }

  get counts(): PublishCounts {
    return { waiting: this.#depth, ...this.#counts, trouble: this.#trouble };
  }

  /** `payload`: a value that JSON can say. */
  offer(topic: string, payload: unknown, settle: Settle): void {
    const line = JSON.stringify({ topic, payload });
    if (this.#isClosed) return settle(new Error("the node is closed: this message was not sent"));
    if (line.length > flowLimits.publishBodyLength) {
      const most = flowLimits.publishBodyLength;
      return settle(new Error(`the message has ${line.length} characters, more than ${most}`));
    }
    if (this.#options.whenFull === "drop-oldest") this.#dropFor(line.length);
    if (!this.#hasRoom(line.length)) return this.#drop({ topic, line, settle });
    this.#waiting.add({ topic, line, settle });
    this.#length += line.length;
    this.#running ??= this.#run();
  }

  /**
   * Goes on with what waits for `closeWaitMs`, then settles the rest with an Error; resolves when nothing
   * is under way any more.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    const timer = setTimeout(() => this.#closing.abort(), flowLimits.closeWaitMs);
    await this.#running;
    clearTimeout(timer);
    this.#closing.abort();
    const why = new Error(
      `the node was closed before the agent had this message${this.#becauseOfTrouble}`,
    );
    for (const { settle } of this.#underWay) settle(why);
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      next.settle(why);
    }
    this.#underWay = [];
    this.#length = 0;
  }

  get #depth(): number {
    return this.#waiting.length + this.#underWay.length;
  }

  #hasRoom(length: number): boolean {
    const { messagesMax, lengthMax } = this.#options;
    return this.#depth < messagesMax && this.#length + length <= lengthMax;
  }

  /** The oldest of those that are not under way give their places. */
  #dropFor(length: number): void {
    while (!this.#hasRoom(length)) {
      const oldest = this.#waiting.take();
      if (oldest === undefined) return;
      this.#length -= oldest.line.length;
      this.#drop(oldest);
    }
  }

  #drop({ settle }: Waiting): void {
    this.#counts.dropped += 1;
    const { messagesMax, whenFull } = this.#options;
    const what = whenFull === "refuse" ? "this message was not taken" : "the oldest was dropped";
    settle(
      new Error(
        `the queue is full (${messagesMax} messages, or its length): ${what}${this.#becauseOfTrouble}`,
      ),
    );
    this.#options.onChange();
  }

  get #becauseOfTrouble(): string {
    return this.#trouble === undefined ? "" : ` (${this.#trouble})`;
  }

  async #run(): Promise<void> {
    // What comes in the same moment shares a body.
    await waitFor(flowLimits.publishLingerMs, this.#closing.signal);
    while (this.#waiting.length > 0 && !this.#closing.signal.aborted) {
      this.#underWay = this.#nextBody();
      const answer = await this.#post(this.#underWay);
      if (answer === undefined) break;
      this.#settle(answer);
      this.#options.onChange();
    }
    this.#running = undefined;
  }

  /** As many as fit, at least one. */
  #nextBody(): readonly Waiting[] {
    const body: Waiting[] = [];
    let length = 0;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      length += next.line.length + 1;
      const isFull =
        body.length === flowLimits.publishMessages || length > flowLimits.publishBodyLength;
      if (isFull && body.length > 0) break;
      body.push(next);
      this.#waiting.take();
    }
    return body;
  }

  /** Until the agent answers for good; undefined where the node is closed before. */
  async #post(body: readonly Waiting[]): Promise<AgentAnswer | undefined> {
    const { client, name } = this.#options;
    const { signal } = this.#closing;
    this.#posts += 1;
    const asked = {
      method: "POST",
      path: "/v1/readings",
      headers: {
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": `${name}-${this.#life}-${this.#posts}`,
      },
      body: body.map(({ line }) => line).join("\n"),
    } as const;
    while (!signal.aborted) {
      let retryAfterMs: number | undefined;
      try {
        const answer = await client.request(asked, signal);
        if (isFinal(answer)) {
          this.#retry.succeeded();
          this.#trouble = undefined;
          return answer;
        }
        this.#trouble = refusalOf(client.name, answer);
        ({ retryAfterMs } = answer);
      } catch (error) {
        if (!(error instanceof AgentAway)) throw error;
        this.#trouble = error.message;
      }
      this.#options.onChange();
      await waitFor(this.#retry.next(retryAfterMs), signal);
    }
    return undefined;
  }

  #settle(answer: AgentAnswer): void {
    const body = this.#underWay;
    this.#underWay = [];
    for (const { line } of body) this.#length -= line.length;
    if (answer.status >= 300) {
      this.#counts.refused += body.length;
      const refusal = new Error(refusalOf(this.#options.client.name, answer));
      for (const { settle } of body) settle(refusal);
      return;
    }
    const { unwantedTopics, deadLettered } = takenOf(answer.body);
    this.#counts.undecoded += deadLettered;
    for (const { topic, settle } of body) {
      const isUnwanted = unwantedTopics.has(topic);
      if (isUnwanted) this.#counts.refused += 1;
      else this.#counts.published += 1;
      settle(isUnwanted ? unwanted(topic) : undefined);
    }
  }
}

/** Whether another try would bring the same: taken, or refused for what is in it. */
function isFinal({ status }: AgentAnswer): boolean {
  return (status >= 200 && status < 300) || status === 400 || status === 413 || status === 422;
}

function unwanted(topic: string): Error {
  return new Error(
    `no source of the agent takes the topic ${JSON.stringify(topic)}: add it to sources[].topics of its weir.yaml`,
  );
}

/** What an answer of POST /v1/readings says. */
function takenOf(body: string): {
  readonly unwantedTopics: ReadonlySet<unknown>;
  readonly deadLettered: number;
} {
  const taken = JSON.parse(body) as { unwantedTopics?: unknown; deadLettered?: unknown };
  return {
    unwantedTopics: new Set(Array.isArray(taken.unwantedTopics) ? taken.unwantedTopics : []),
    deadLettered: typeof taken.deadLettered === "number" ? taken.deadLettered : 0,
  };
}
