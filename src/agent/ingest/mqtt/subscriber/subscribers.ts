/** The sessions at all external brokers of a configuration. */

import type { Clock, Net, Random } from "../../../../core/doors.ts";
import type { Intake } from "../../intake.ts";
import type { SourceConfig } from "../../source-config.ts";
import { parseTemplate, type TopicTemplate } from "../../topic-template.ts";
import type { BrokerConfig } from "./subscriber-config.ts";
import type { BrokerStatus } from "./broker-counters.ts";
import { openSubscriber, type Subscriber } from "./subscriber.ts";

type SubscribersOptions = {
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly brokers: readonly BrokerConfig[];
  readonly sources: readonly SourceConfig[];
  readonly intake: Intake;
  /** Sources that had messages before this process began. */
  readonly known: ReadonlySet<string>;
};

/** Begins to connect to every broker that a source takes from; register `gates` in the same turn. */
export function openSubscribers(options: SubscribersOptions): Subscribers {
  return new Subscribers(
    options.brokers.flatMap((config) => {
      const sources = options.sources.filter(({ broker }) => broker === config.name);
      if (sources.length === 0) return [];
      const { net, clock, random, intake, known } = options;
      return openSubscriber({
        net,
        clock,
        random,
        config,
        templates: sources.flatMap(({ topics }) => topics.flatMap(templatesOf)),
        isKnown: sources.some(({ name }) => known.has(name)),
        receiver: intake.receiverOf(config.name),
        hurry: () => intake.hurry(),
      });
    }),
  );
}

export class Subscribers {
  readonly gates: readonly Subscriber[];

  constructor(gates: readonly Subscriber[]) {
    this.gates = gates;
  }

  get status(): readonly BrokerStatus[] {
    return this.gates.map(({ status }) => status);
  }

  /** Takes no more messages. What was received can still be made durable and is then answered. */
  stopAccepting(): void {
    for (const subscriber of this.gates) subscriber.stopAccepting();
  }

  async close(): Promise<void> {
    await Promise.all(this.gates.map((subscriber) => subscriber.close()));
  }
}

function templatesOf(text: string): readonly TopicTemplate[] {
  const parse = parseTemplate(text);
  return parse.kind === "template" ? [parse.template] : [];
}
