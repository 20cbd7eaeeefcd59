/** External brokers in /metrics; see metrics.ts. */

import type { Family, Sample } from "./exposition.ts";
import {
  type BrokerCounters,
  type BrokerStatus,
  brokerStates,
  createBrokerCounters,
} from "../ingest/mqtt/subscriber/broker-counters.ts";

const helps: Readonly<Record<keyof BrokerCounters, string>> = {
  received: "Messages taken as readings or dead letters.",
  acknowledged: "Messages acknowledged.",
  acknowledgementsDropped: "Acknowledgements whose connection was gone.",
  resent: "QoS 2 messages sent again that were known already.",
  retainedIgnored: "Retained messages that came with a subscription.",
  unwanted: "Messages of topics that no source takes.",
  tooLarge: "Messages larger than a packet may be, passed over.",
  connected: "Connections the broker welcomed.",
  reconnects: "Of these all but the first.",
  connectFailures: "Tries to connect that failed.",
  refused: "Of these: refused by the broker.",
  sessionsLost: "Times the broker had forgotten our session.",
  halfOpen: "Connections that died without a word.",
  disconnects: "Connections the broker ended with a reason.",
  takenOver: "Of these: another client has our client id.",
  protocolErrors: "Connections closed for what the broker sent.",
  pauses: "Times the broker was not read because enough waits.",
  bytesIn: "Bytes received.",
  bytesOut: "Bytes sent.",
};

export function brokerFamilies(brokers: readonly BrokerStatus[]): Family[] {
  if (brokers.length === 0) return [];
  const perBroker = (valueOf: (status: BrokerStatus) => number | undefined): Sample[] =>
    brokers.flatMap((status) => {
      const value = valueOf(status);
      return value === undefined ? [] : [{ labels: { broker: status.name }, value }];
    });
  const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name: `weir_broker_${name}`,
    type: "gauge",
    help,
    samples,
  });
  const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name: `weir_broker_${name}_total`,
    type: "counter",
    help,
    samples,
  });
  return [
    gauge(
      "state",
      "1 for the state of the session.",
      brokers.flatMap(({ name, state }) =>
        brokerStates.map((each) => ({
          labels: { broker: name, state: each },
          value: Number(each === state),
        })),
      ),
    ),
    gauge(
      "session_present",
      "Whether the broker had our session when we connected last.",
      perBroker(({ sessionPresent }) =>
        sessionPresent === undefined ? undefined : Number(sessionPresent),
      ),
    ),
    gauge(
      "in_flight",
      "Messages not acknowledged now.",
      perBroker(({ inFlight }) => inFlight),
    ),
    gauge(
      "send_quota",
      "Messages the broker is thought to send unacknowledged.",
      perBroker(({ sendQuota }) => sendQuota),
    ),
    gauge(
      "subscriptions",
      "Subscriptions now.",
      perBroker(({ subscriptions }) => subscriptions),
    ),
    gauge(
      "subscriptions_refused",
      "Subscriptions the broker refuses now.",
      perBroker(({ subscriptionsRefused }) => subscriptionsRefused.length),
    ),
    gauge(
      "subscriptions_lowered",
      "Subscriptions with a lower QoS than asked now.",
      perBroker(({ subscriptionsLowered }) => subscriptionsLowered.length),
    ),
    ...counterNames.map((name) =>
      counter(
        snakeCase(name),
        helps[name],
        perBroker(({ counters }) => counters[name]),
      ),
    ),
    counter(
      "dropped",
      "Messages that the whole broker says it dropped, of all its clients.",
      perBroker(({ brokerDropped }) => brokerDropped),
    ),
    ...canaryFamilies(brokers, { gauge, counter, perBroker }),
  ].filter(({ samples }) => samples.length > 0);
}

const counterNames = Object.keys(createBrokerCounters()).filter(
  (name): name is keyof BrokerCounters => name in helps,
);

function canaryFamilies(
  brokers: readonly BrokerStatus[],
  make: {
    readonly gauge: (name: string, help: string, samples: readonly Sample[]) => Family;
    readonly counter: (name: string, help: string, samples: readonly Sample[]) => Family;
    readonly perBroker: (valueOf: (status: BrokerStatus) => number | undefined) => Sample[];
  },
): Family[] {
  if (brokers.every(({ canary }) => canary === undefined)) return [];
  const { gauge, counter, perBroker } = make;
  return [
    counter(
      "canaries",
      "Canaries sent.",
      perBroker(({ canary }) => canary?.sent),
    ),
    counter(
      "canaries_missed",
      "Canaries that did not come back in time.",
      perBroker(({ canary }) => canary?.missed),
    ),
    gauge(
      "canary_seconds",
      "How long the last canary took.",
      perBroker(({ canary }) =>
        canary?.latencyMs === undefined ? undefined : canary.latencyMs / 1_000,
      ),
    ),
  ];
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
