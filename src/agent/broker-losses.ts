/**
 * What external brokers are known to have lost of ours, beside the ledger: it never came here, so
 * nothing of it is a message that the ledger could count. Since the start of the process.
 */

import type { BrokerStatus } from "./ingest/mqtt/subscriber/broker-counters.ts";

type BrokerLosses = {
  readonly broker: string;
  /** Times it had forgotten our session, with all it kept for us. */
  readonly sessionsLost: number;
  /** Messages it says it dropped, of all its clients together; undefined where it does not say. */
  readonly dropped: number | undefined;
};

export function brokerLosses(brokers: readonly BrokerStatus[]): readonly BrokerLosses[] {
  return brokers.map(({ name, counters, brokerDropped }) => ({
    broker: name,
    sessionsLost: counters.sessionsLost,
    dropped: brokerDropped,
  }));
}
