/**
 * The QoS of a delivery: the smaller of what was published and the largest that any matching
 * subscription of the client was granted (MQTT 3.1.1, 3.3.5 and 3.8.4).
 *
 * aedes takes the QoS of whichever matching subscription it comes to first, and looks no further
 * than a subscription to the very topic to lower it. So both of its ways to deliver are replaced, on
 * each client, by one that decides by all of its subscriptions.
 */

import { filterMatches } from "./filter.ts";

type Delivery = { readonly topic: string; qos: number };
type Subscription = { qos: number };
type Deliver = (packet: Delivery, done: () => void) => void;

/** What is used of a client of the broker. */
export type DeliveringClient = {
  readonly subscriptions: { readonly [filter: string]: Subscription };
  deliver0: Deliver;
  deliverQoS: Deliver;
};

/** What was granted; `Subscription.qos` of a filter without wildcards may be raised by others. */
const granted = new WeakMap<Subscription, number>();

/** Called once per client, before it subscribes. */
export function capDelivery(client: DeliveringClient): void {
  const { deliver0, deliverQoS } = client;
  const deliver: Deliver = (packet, done) => {
    if (packet.qos > 0) packet.qos = Math.min(packet.qos, grantedFor(client, packet));
    if (packet.qos === 0) deliver0(packet, done);
    else deliverQoS(packet, done);
  };
  Object.assign(client, { deliver0: deliver, deliverQoS: deliver });
}

/** The largest QoS granted to a subscription that matches; the message's own where none does. */
function grantedFor({ subscriptions }: DeliveringClient, { topic, qos }: Delivery): number {
  let largest = -1;
  // oxlint-disable-next-line guard-for-in -- the object has no prototype
  for (const filter in subscriptions) {
    if (!filterMatches(filter, topic)) continue;
    const subscription = subscriptions[filter]!;
    let own = granted.get(subscription);
    if (own === undefined) {
      own = subscription.qos;
      granted.set(subscription, own);
    }
    if (own > largest) largest = own;
  }
  const exact = subscriptions[topic];
  if (exact !== undefined && largest > exact.qos) exact.qos = largest;
  return largest < 0 ? qos : largest;
}
