/** What a person should know of external brokers; see notices.ts. */

import { limits } from "../../core/limits.ts";
import { durationText } from "../config/quantity.ts";
import type { BrokerStatus } from "../ingest/mqtt/subscriber/broker-counters.ts";
import type { Notice } from "./notice.ts";
import { counted } from "../../core/counted.ts";

/** So many connections in a row that did not last are no accident. */
const SHORT_LIVED_MIN = 3;

/** `now` by the wall clock, ms. */
export function brokerNotices(broker: BrokerStatus, now: number): readonly Notice[] {
  const { name, counters, trouble, canary } = broker;
  const notices: Notice[] = [];
  const add = (kind: string, isSo: boolean, message: () => string): void => {
    if (isSo) notices.push({ code: `broker_${kind}_${name}`, message: message() });
  };
  const awayMs = broker.awaySince === undefined ? 0 : now - broker.awaySince;
  const isUnreached = counters.connected === 0;
  add("away", awayMs > (isUnreached ? limits.brokerUnreachedMs : limits.brokerAwayMs), () => {
    const seconds = Math.floor(awayMs / 1_000);
    const what = isUnreached
      ? `was not reached since the start, ${seconds} s ago`
      : `is away for ${seconds} s`;
    return `broker ${name} ${what}: ${trouble?.message ?? "no answer yet"}`;
  });
  add(
    "session_lost",
    counters.sessionsLost > 0,
    () =>
      `broker ${name} lost our session (${counters.sessionsLost} since the start): what it kept for us then is gone; have it keep sessions on disk, and for longer than an outage (a client id that is new to it has none either)`,
  );
  const { sessionCutToMs } = broker;
  add(
    "session_cut",
    sessionCutToMs !== undefined,
    () =>
      `broker ${name} keeps our session for ${durationText(sessionCutToMs ?? 0)} only, which is less than brokers[].session: what comes while we are away for longer is gone`,
  );
  add(
    "taken_over",
    counters.takenOver > 0,
    () =>
      `broker ${name}: another client connected with our client id (${counters.takenOver} since the start): give each its own (brokers[].clientId)`,
  );
  add(
    "short_lived",
    broker.shortLived >= SHORT_LIVED_MIN,
    () =>
      `broker ${name}: ${broker.shortLived} connections in a row ended within ${limits.brokerSettledMs / 1_000} s (${trouble?.message ?? "without a reason"}): another client may have our client id, or the user may not do what the sources need`,
  );
  const [refused] = broker.subscriptionsRefused;
  add(
    "refused",
    refused !== undefined,
    () =>
      `broker ${name} refuses ${broker.subscriptionsRefused.length} of our subscriptions, the first ${refused ?? ""}`,
  );
  const [lowered] = broker.subscriptionsLowered;
  add(
    "qos_lowered",
    lowered !== undefined,
    () =>
      `broker ${name} gives ${broker.subscriptionsLowered.length} of our subscriptions a lower QoS than brokers[].qos asks for, the first ${lowered ?? ""}: what comes with QoS 0 may be lost on the way, and is not kept while we are away; have the broker allow more`,
  );
  const { brokerDropped } = broker;
  add(
    "dropped",
    brokerDropped !== undefined && brokerDropped > 0,
    () =>
      `broker ${name} says that it dropped ${counted(brokerDropped ?? 0, "message")} since we connected, of all its clients together: raise its queue (Mosquitto: max_queued_messages)`,
  );
  add(
    "mute",
    canary?.isMute === true,
    () =>
      `broker ${name}: no canary has ever come back: give our user the right to publish and to subscribe to its topic`,
  );
  add(
    "unwanted",
    counters.unwanted > 0,
    () =>
      `broker ${name}: ${counted(counters.unwanted, "message")} since the start went to topics that no source takes, the last to ${JSON.stringify(broker.unwantedTopic)}: its session may hold subscriptions of an earlier configuration (another clientId has none)`,
  );
  add(
    "too_large",
    counters.tooLarge > 0,
    () =>
      `broker ${name}: ${counted(counters.tooLarge, "message")} passed over, larger than ${limits.packetBytesMax} bytes`,
  );
  return notices;
}
