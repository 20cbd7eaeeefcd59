/**
 * A broker at the bridge's seam: takes messages in the order in which they come, answers as a test
 * says, and complains when more are under way than it allowed.
 */

import assert from "node:assert/strict";
import type {
  Answer,
  BridgeLink,
  BridgeMessage,
  ConnectBridge,
  LinkEnd,
  Will,
} from "../../../src/sync/mqtt/bridge-link.ts";
import { Fault } from "../../../src/core/faults.ts";

/** `cut` before the broker has it, `lose` after: the connection ends and nobody is answered. */
type PublishFate = "answer" | "hold" | "cut" | "lose" | Answer;

type Taken = {
  readonly topic: string;
  readonly text: string;
  readonly retain: boolean;
  readonly id: string | undefined;
  readonly connection: number;
};

export class BridgeBrokerModel {
  receiveMax = 65_535;
  packetBytesMax: number = Number.POSITIVE_INFINITY;
  isUp = true;
  fate: (message: BridgeMessage) => PublishFate = () => "answer";
  readonly taken: Taken[] = [];
  readonly wills: Taken[] = [];
  connections = 0;
  /** The most that was under way at once. */
  inFlightMost = 0;
  #links = new Set<ModelLink>();

  connect: ConnectBridge = async ({ will, onEnded }) => {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.isUp) throw new Fault("UPLINK_UNREACHABLE", "cannot connect to it: ECONNREFUSED");
    this.connections += 1;
    const link = new ModelLink(this, { will, onEnded, connection: this.connections });
    this.#links.add(link);
    return link;
  };

  get links(): readonly ModelLink[] {
    return [...this.#links];
  }

  /** Everything that was held is answered, in order. */
  answerHeld(): void {
    for (const link of this.#links) link.answerHeld();
  }

  cut(end: LinkEnd = { why: "ECONNRESET", takenOver: false }): void {
    for (const link of this.links) link.end(end);
  }

  gone(link: ModelLink, will: Will | undefined): void {
    this.#links.delete(link);
    if (will !== undefined) {
      const message = { ...will, retain: true, attributes: undefined };
      this.wills.push(takenOf(message, link.connection));
    }
  }

  take(message: BridgeMessage, connection: number): void {
    this.taken.push(takenOf(message, connection));
  }
}

class ModelLink implements BridgeLink {
  readonly receiveMax: number;
  readonly packetBytesMax: number;
  readonly unheard = 0;
  readonly traffic = { sent: 0, received: 0 };
  readonly connection: number;
  ended: LinkEnd | undefined;
  readonly #broker: BridgeBrokerModel;
  readonly #onEnded: () => void;
  readonly #will: Will | undefined;
  #held: ((answer: Answer) => void)[] = [];
  #inFlight = 0;
  #isCut = false;

  constructor(
    broker: BridgeBrokerModel,
    options: {
      readonly will: Will | undefined;
      readonly onEnded: () => void;
      readonly connection: number;
    },
  ) {
    this.#broker = broker;
    this.#onEnded = options.onEnded;
    this.#will = options.will;
    this.connection = options.connection;
    this.receiveMax = broker.receiveMax;
    this.packetBytesMax = broker.packetBytesMax;
  }

  publish(message: BridgeMessage, onAnswer: (answer: Answer) => void): void {
    assert.equal(this.ended, undefined, "nothing is published on a link that has ended");
    this.#inFlight += 1;
    assert.ok(this.#inFlight <= this.receiveMax, "no more is under way than the broker allows");
    this.#broker.inFlightMost = Math.max(this.#broker.inFlightMost, this.#inFlight);
    this.traffic.sent += message.payload.length;
    const fate = this.#broker.fate(message);
    // What was written behind a message that the network lost is lost with it.
    if (this.#isCut) return;
    if (fate !== "cut") this.#broker.take(message, this.connection);
    if (fate === "cut" || fate === "lose") {
      this.#isCut = true;
      setImmediate(() => this.end({ why: "ECONNRESET", takenOver: false }));
      return;
    }
    if (fate === "hold" || this.#held.length > 0) {
      this.#held.push(this.#answering(onAnswer));
      return;
    }
    const answer: Answer = fate === "answer" ? { kind: "taken" } : fate;
    const tell = this.#answering(onAnswer);
    setImmediate(() => tell(answer));
  }

  #answering(onAnswer: (answer: Answer) => void): (answer: Answer) => void {
    return (answer) => {
      if (this.ended !== undefined) return;
      this.#inFlight -= 1;
      onAnswer(answer);
    };
  }

  answerHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const tell of held) tell({ kind: "taken" });
  }

  end(end: LinkEnd): void {
    if (this.ended !== undefined) return;
    this.ended = end;
    this.#broker.gone(this, this.#will);
    this.#onEnded();
  }

  close(): Promise<void> {
    if (this.ended !== undefined) return Promise.resolve();
    this.ended = { why: "closed", takenOver: false };
    this.#broker.gone(this, undefined);
    this.#onEnded();
    return Promise.resolve();
  }

  destroy(): void {
    this.end({ why: "given up", takenOver: false });
  }
}

function takenOf(message: BridgeMessage, connection: number): Taken {
  const { topic, payload, retain, attributes } = message;
  return {
    topic,
    text: Buffer.from(payload).toString(),
    retain,
    id: attributes?.["id"],
    connection,
  };
}
