/**
 * Messages on their way into an agent: they wait in order, go in bodies of several, and are settled when the
 * agent has them on its disk.
 *
 *   offer ─▶ waiting, bounded ─▶ one POST under way, with a key ─▶ 2xx: settled, durable
 *              │ full: refuse the new one,        │ away, busy: the same body and key again, later
 *              ▼ or drop the oldest               ▼ refused for what is in it: settled with why
 *
 * A body that was lost on the way, or whose answer was, is sent again under its Idempotency-Key, so the
 * agent takes it once, also when it was killed in between, as long as it remembers the key (docs/http.md). What
 * waits is in the memory of Node-RED: the durable place is the agent.
 *
 * What one agent may have is never sent to another: a body that was on its way, and all that waited when the
 * agent answered last. What came since then is nobody's yet (LeftMessages).
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import { linger } from "../linger.ts";
import type { Message } from "../red.ts";
import type { AgentAnswer, AgentClient } from "./agent-client.ts";
import { Fifo } from "./fifo.ts";
import { Retry, waitFor } from "./retry.ts";
import { AgentAway, AgentRefusal, isNoHttp } from "./trouble.ts";

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
  readonly trouble: Error | undefined;
};

/** A message with whoever hears of it, which is the caller's. */
export type Offered<Sender> = {
  readonly topic: string;
  /** Topic and payload as JSON, of at most flowLimits.publishBodyLength characters. */
  readonly line: string;
  readonly message: Message;
  /** Absent for a message that an earlier life of the node left. */
  readonly sender?: Sender;
};

/** What waited when a node closed, in order. */
export type LeftMessages = {
  /** For which it waits. */
  readonly agent: string;
  /** The body that was under way, under its key. */
  readonly body: Body<never> | undefined;
  readonly waiting: readonly Offered<never>[];
  /** So many of `waiting`, the newest, came after the agent's last answer: they may go to another. */
  readonly unanswered: number;
};

type Body<Sender> = {
  readonly key: string;
  readonly messages: readonly Offered<Sender>[];
  /** It may be at the agent, or the agent answered while it waited: it is for no other. */
  isBound: boolean;
};

export type PublishQueueOptions<Sender> = {
  readonly client: AgentClient;
  readonly messagesMax: number;
  /** Of what waits, in characters of JSON. */
  readonly lengthMax: number;
  readonly whenFull: WhenFull;
  /** What an earlier life of the node left for this agent. */
  readonly left?: LeftMessages | undefined;
  /**
   * The message is durable, or never will be, for this reason. Not called for each where very many are
   * dropped: another error for each would be the worse of it, and one says how many there were.
   */
  readonly onSettled: (offered: Offered<Sender>, error?: Error) => void;
  /** The agent is away, busy, or refuses, told once when that begins; undefined: it answers again. */
  readonly onTrouble: (trouble: Error | undefined) => void;
  readonly onChange: () => void;
};

export class PublishQueue<Sender> {
  readonly #options: PublishQueueOptions<Sender>;
  readonly #closing = new AbortController();
  readonly #retry = new Retry();
  /** Of this life of the node: keys are never given twice. */
  readonly #life = crypto.randomUUID();
  readonly #counts = { published: 0, dropped: 0, refused: 0, undecoded: 0 };
  readonly #waiting = new Fifo<Offered<Sender>>();
  /** As in LeftMessages. */
  #unanswered: number;
  /** The body that is on its way, or will be tried again. */
  #underWay: Body<Sender> | undefined;
  /** Of both. */
  #length = 0;
  /** Bodies so far. */
  #posts = 0;
  /** In this second: messages that were dropped and told so, and those that were not, the last of them. */
  #told = 0;
  #untold = 0;
  #lastUntold: Offered<Sender> | undefined;
  #tellTimer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #trouble: Error | undefined;
  #isClosing = false;
  #isGone = false;

  constructor(options: PublishQueueOptions<Sender>) {
    this.#options = options;
    const { body, waiting = [], unanswered = 0 } = options.left ?? {};
    this.#unanswered = unanswered;
    this.#underWay = body;
    for (const message of waiting) this.#waiting.add(message);
    for (const { line } of [...(body?.messages ?? []), ...waiting]) this.#length += line.length;
    if (this.#depth > 0) this.#running = this.#run();
  }

  get counts(): PublishCounts {
    return { waiting: this.#depth, ...this.#counts, trouble: this.#trouble };
  }

  offer(offered: Offered<Sender>): void {
    const { whenFull, onSettled, onChange } = this.#options;
    const { length } = offered.line;
    if (this.#isGone) return onSettled(offered, new Error("the node is closed"));
    if (whenFull === "drop-oldest") this.#dropFor(length);
    if (!this.#hasRoom(length)) return this.#drop(offered);
    this.#waiting.add(offered);
    this.#unanswered += 1;
    this.#length += length;
    onChange();
    this.#running ??= this.#run();
  }

  /**
   * Goes on for `closeWaitMs` while the agent takes messages; resolves with the rest when nothing is under
   * way any more. It is not settled: whoever would hear of it is closed, too.
   */
  async close(): Promise<LeftMessages> {
    this.#isClosing = true;
    if (this.#trouble !== undefined) this.#closing.abort();
    const timer = setTimeout(() => this.#closing.abort(), flowLimits.closeWaitMs);
    await linger();
    await this.#running;
    clearTimeout(timer);
    this.#closing.abort();
    this.#isGone = true;
    this.#tellLast();
    const unanswered = this.#unanswered;
    const waiting: Offered<never>[] = [];
    for (let next = this.#waiting.take(); next !== undefined; next = this.#waiting.take()) {
      waiting.push(withoutSender(next));
    }
    const body = this.#underWay && {
      ...this.#underWay,
      messages: this.#underWay.messages.map(withoutSender),
    };
    return { agent: this.#options.client.name, body, waiting, unanswered };
  }

  // ---- the bound ----

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
      const oldest = this.#take();
      if (oldest === undefined) return;
      this.#length -= oldest.line.length;
      this.#drop(oldest);
    }
  }

  #take(): Offered<Sender> | undefined {
    const oldest = this.#waiting.take();
    this.#unanswered = Math.min(this.#unanswered, this.#waiting.length);
    return oldest;
  }

  /** An error costs Node-RED more than a message: of a burst only some are told one by one. */
  #drop(offered: Offered<Sender>): void {
    this.#counts.dropped += 1;
    this.#options.onChange();
    this.#tellTimer ??= setTimeout(() => this.#tellLast(), flowLimits.publishTellMs);
    if (this.#told < flowLimits.publishErrorsMax) {
      this.#told += 1;
      this.#options.onSettled(offered, this.#fullFault(0));
      return;
    }
    this.#untold += 1;
    this.#lastUntold = offered;
  }

  /** The last of those that were not told says how many there were. */
  #tellLast(): void {
    clearTimeout(this.#tellTimer);
    this.#tellTimer = undefined;
    if (this.#lastUntold !== undefined) {
      this.#options.onSettled(this.#lastUntold, this.#fullFault(this.#untold - 1));
    }
    this.#lastUntold = undefined;
    this.#told = 0;
    this.#untold = 0;
  }

  #fullFault(before: number): Error {
    const { messagesMax } = this.#options;
    const others = before === 0 ? "" : `, and ${before} others before`;
    const why = this.#trouble === undefined ? "" : ` (${this.#trouble.message})`;
    return new Error(
      `the queue is full (${messagesMax} messages, or its length): this message was dropped${others}${why}`,
    );
  }

  // ---- on its way ----

  async #run(): Promise<void> {
    // What comes in the same moment shares a body.
    await waitFor(flowLimits.publishLingerMs, this.#closing.signal);
    while (this.#depth > 0 && !this.#closing.signal.aborted) {
      const body = (this.#underWay ??= this.#nextBody());
      const outcome = await this.#post(body);
      if (outcome === undefined) break;
      this.#settle(body, outcome);
      this.#options.onChange();
    }
    this.#running = undefined;
  }

  /**
   * As many as fit, at least one, and no more than half of what may wait: those under way cannot give their
   * places to newer ones.
   */
  #nextBody(): Body<Sender> {
    const { messagesMax } = this.#options;
    const most = Math.min(flowLimits.publishMessages, Math.ceil(messagesMax / 2));
    const isBound = this.#unanswered < this.#waiting.length;
    const messages: Offered<Sender>[] = [];
    let length = 0;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      length += next.line.length + 1;
      const isFull = messages.length === most || length > flowLimits.publishBodyLength;
      if (isFull && messages.length > 0) break;
      messages.push(next);
      this.#take();
    }
    this.#posts += 1;
    return { key: `${this.#life}-${this.#posts}`, messages, isBound };
  }

  /** Until the agent answers for good; undefined where the node is closed before. */
  async #post(body: Body<Sender>): Promise<Outcome | undefined> {
    const { key, messages } = body;
    const { client } = this.#options;
    const { signal } = this.#closing;
    const asked = {
      method: "POST",
      path: "/v1/readings",
      headers: { "Content-Type": "application/x-ndjson", "Idempotency-Key": key },
      body: messages.map(({ line }) => line).join("\n"),
      onSent: () => void (body.isBound = true),
    } as const;
    while (!signal.aborted) {
      let retryAfterMs: number | undefined;
      const wasBound = body.isBound;
      try {
        const answer = await client.request(asked, signal);
        const outcome = outcomeOf(client, answer);
        if (!("trouble" in outcome && outcome.trouble instanceof AgentAway)) this.#unanswered = 0;
        // What is no agent has taken nothing; a proxy that failed may have passed it on.
        else if (answer.status < 500) body.isBound = wasBound;
        if ("trouble" in outcome) {
          this.#hasTrouble(outcome.trouble);
          ({ retryAfterMs } = answer);
        } else {
          this.#retry.succeeded();
          if (this.#trouble !== undefined) this.#options.onTrouble(undefined);
          this.#trouble = undefined;
          return outcome;
        }
      } catch (error) {
        if (isNoHttp(error)) body.isBound = wasBound;
        if (!signal.aborted) {
          this.#hasTrouble(error instanceof Error ? error : new Error(String(error)));
        }
      }
      await waitFor(this.#retry.next(retryAfterMs), signal);
    }
    return undefined;
  }

  #hasTrouble(trouble: Error): void {
    if (trouble.message !== this.#trouble?.message) this.#options.onTrouble(trouble);
    this.#trouble = trouble;
    // A node that closes waits for an agent that takes messages, and for no other.
    if (this.#isClosing) this.#closing.abort();
    this.#options.onChange();
  }

  #settle({ messages }: Body<Sender>, outcome: Outcome): void {
    this.#underWay = undefined;
    for (const { line } of messages) this.#length -= line.length;
    const { onSettled } = this.#options;
    if ("refusal" in outcome) {
      this.#counts.refused += messages.length;
      for (const offered of messages) onSettled(offered, outcome.refusal);
      return;
    }
    this.#counts.undecoded += outcome.deadLettered;
    for (const offered of messages) {
      const isUnwanted = outcome.unwantedTopics.has(offered.topic);
      if (isUnwanted) this.#counts.refused += 1;
      else this.#counts.published += 1;
      onSettled(offered, isUnwanted ? unwanted(offered.topic) : undefined);
    }
  }
}

function withoutSender<Sender>({ topic, line, message }: Offered<Sender>): Offered<never> {
  return { topic, line, message };
}

/** What another try would not change. */
type Outcome =
  | { readonly unwantedTopics: ReadonlySet<unknown>; readonly deadLettered: number }
  | { readonly refusal: Error };

function outcomeOf(
  client: AgentClient,
  answer: AgentAnswer,
): Outcome | { readonly trouble: Error } {
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    return takenOf(body) ?? { trouble: client.strangerOf(answer) };
  }
  const error = client.refusalOf(answer);
  // What is no agent refuses nothing for good: a proxy may have a bound of its own, or the wrong port.
  const isFinal = error instanceof AgentRefusal && [400, 413, 422].includes(status);
  return isFinal ? { refusal: error } : { trouble: error };
}

/** What an answer of POST /v1/readings says; undefined where it is none. */
function takenOf(body: string): Outcome | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof answer !== "object" || answer === null || !("messages" in answer)) return undefined;
  const taken: Readonly<Record<string, unknown>> = { ...answer };
  const unwantedTopics = taken["unwantedTopics"];
  const deadLettered = taken["deadLettered"];
  return {
    unwantedTopics: new Set(Array.isArray(unwantedTopics) ? unwantedTopics : []),
    deadLettered: typeof deadLettered === "number" ? deadLettered : 0,
  };
}

function unwanted(topic: string): Error {
  return new Error(
    `no source of the agent takes the topic ${JSON.stringify(topic)}: add it to sources[].topics of its weir.yaml`,
  );
}
