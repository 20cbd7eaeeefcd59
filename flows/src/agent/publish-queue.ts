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
  /** Given up because the queue was full. */
  readonly dropped: number;
  /** Refused by the agent for what is in them. */
  readonly refused: number;
  /** Durable, but no source of the agent could read them: they are dead letters there. */
  readonly undecoded: number;
  /** Why nothing goes now. */
  readonly trouble: string | undefined;
};

/**
 * Called once, when the message is durable, or with why it never will be; not at all where so many are
 * dropped that another error for each would be the worse of it (`dropped` counts them).
 */
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
  /** What an earlier life of the node left. */
  readonly left?: LeftMessages | undefined;
  readonly onChange: () => void;
};

/** What waited when a node closed, in order: nobody waits any more to hear of it, but it goes on. */
export type LeftMessages = {
  /** The body that was under way, under its key. */
  readonly body: Body | undefined;
  readonly waiting: readonly Waiting[];
};

type Body = { readonly key: string; readonly messages: readonly Waiting[] };

export class PublishQueue {
  readonly #options: PublishQueueOptions;
  readonly #closing = new AbortController();
  readonly #retry = new Retry();
  /** Of this life of the node: keys are never given twice. */
  readonly #life = crypto.randomUUID().slice(0, 13);
  readonly #counts = { published: 0, dropped: 0, refused: 0, undecoded: 0 };
  readonly #waiting = new Fifo<Waiting>();
  /** The body that is on its way, or will be tried again. */
  #underWay: Body | undefined;
  /** Of both. */
  #length = 0;
  /** Bodies so far. */
  #posts = 0;
  /** In this second: messages that were dropped and told so, and those that were not, the last of them. */
  #told = 0;
  #untold = 0;
  #lastUntold: Settle | undefined;
  #tellTimer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #trouble: string | undefined;
  #isClosed = false;

  constructor(options: PublishQueueOptions) {
    this.#options = options;
    const { body, waiting = [] } = options.left ?? {};
    this.#underWay = body;
    for (const message of waiting) this.#waiting.add(message);
    for (const { line } of [...(body?.messages ?? []), ...waiting]) this.#length += line.length;
    if (this.#depth > 0) this.#running = this.#run();
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
    this.#options.onChange();
    this.#running ??= this.#run();
  }

  /**
   * Goes on for `closeWaitMs` while the agent takes messages; resolves with the rest when nothing is under
   * way any more. It is not settled: whoever would hear of it is closed, too.
   */
  async close(): Promise<LeftMessages> {
    this.#isClosed = true;
    this.#tellLast();
    if (this.#trouble !== undefined) this.#closing.abort();
    const timer = setTimeout(() => this.#closing.abort(), flowLimits.closeWaitMs);
    await this.#running;
    clearTimeout(timer);
    this.#closing.abort();
    const waiting: Waiting[] = [];
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      waiting.push({ ...next, settle: () => undefined });
    }
    const body = this.#underWay && {
      ...this.#underWay,
      messages: this.#underWay.messages.map((each) => ({ ...each, settle: () => undefined })),
    };
    return { body, waiting };
  }

  get #depth(): number {
    return this.#waiting.length + (this.#underWay?.messages.length ?? 0);
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

  /** An error costs Node-RED more than a message: of a burst only some are told one by one. */
  #drop({ settle }: Waiting): void {
    this.#counts.dropped += 1;
    this.#options.onChange();
    this.#tellTimer ??= setTimeout(() => this.#tellLast(), 1_000);
    if (this.#told < flowLimits.publishErrorsPerSecond) {
      this.#told += 1;
      settle(this.#fullFault(0));
      return;
    }
    this.#untold += 1;
    this.#lastUntold = settle;
  }

  /** The last of those that were not told says how many there were. */
  #tellLast(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    this.#lastUntold?.(this.#fullFault(this.#untold - 1));
    this.#lastUntold = undefined;
    this.#told = 0;
    this.#untold = 0;
  }

  #fullFault(before: number): Error {
    const { messagesMax, whenFull } = this.#options;
    const what = whenFull === "refuse" ? "this message was not taken" : "the oldest was dropped";
    const others = before === 0 ? "" : `, and ${before} others before`;
    return new Error(
      `the queue is full (${messagesMax} messages, or its length): ${what}${others}${this.#becauseOfTrouble}`,
    );
  }

  get #becauseOfTrouble(): string {
    return this.#trouble === undefined ? "" : ` (${this.#trouble})`;
  }

  async #run(): Promise<void> {
    // What comes in the same moment shares a body.
    await waitFor(flowLimits.publishLingerMs, this.#closing.signal);
    while (this.#depth > 0 && !this.#closing.signal.aborted) {
      const body = (this.#underWay ??= this.#nextBody());
      const answer = await this.#post(body);
      if (answer === undefined) break;
      this.#settle(body, answer);
      this.#options.onChange();
    }
    this.#running = undefined;
  }

  /** As many as fit, at least one. */
  #nextBody(): Body {
    const messages: Waiting[] = [];
    let length = 0;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      length += next.line.length + 1;
      const isFull =
        messages.length === flowLimits.publishMessages || length > flowLimits.publishBodyLength;
      if (isFull && messages.length > 0) break;
      messages.push(next);
      this.#waiting.take();
    }
    this.#posts += 1;
    return { key: `${this.#options.name}-${this.#life}-${this.#posts}`, messages };
  }

  /** Until the agent answers for good; undefined where the node is closed before. */
  async #post({ key, messages }: Body): Promise<AgentAnswer | undefined> {
    const { client } = this.#options;
    const { signal } = this.#closing;
    const asked = {
      method: "POST",
      path: "/v1/readings",
      headers: {
        "Content-Type": "application/x-ndjson",
        "Idempotency-Key": key,
      },
      body: messages.map(({ line }) => line).join("\n"),
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

  #settle({ messages }: Body, answer: AgentAnswer): void {
    this.#underWay = undefined;
    for (const { line } of messages) this.#length -= line.length;
    if (answer.status >= 300) {
      this.#counts.refused += messages.length;
      const refusal = new Error(refusalOf(this.#options.client.name, answer));
      for (const { settle } of messages) settle(refusal);
      return;
    }
    const { unwantedTopics, deadLettered } = takenOf(answer.body);
    this.#counts.undecoded += deadLettered;
    for (const { topic, settle } of messages) {
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
