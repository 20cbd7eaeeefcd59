/** The embedded broker behind the agent's own topics, and how these are called. */

/** The embedded broker, as its own agent uses it: what is published here is never received. */
export interface LocalBroker {
  /** Anyone at all, on any topic. */
  readonly subscriptionCount: number;
  isSubscribed(topic: string): boolean;
  /** Brings what clients publish on this topic, which has no wildcards; `payload` is the broker's. */
  subscribe(topic: string, onMessage: (payload: Uint8Array) => void): void;
  /** `payload` is the broker's from now on. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly retain: boolean; readonly qos: 0 | 1 },
  ): void;
  /** Bytes of messages on their way to subscribers. */
  readonly backlogBytes: number;
  readonly backlogged: boolean;
  /** Bytes that clients have not read yet. */
  readonly unreadBytes: number;
}

/** `weir/<agent>/<rest>`. An agent's name is a plain level; one made in code is written as one. */
export function ownTopic(agent: string, rest: string): string {
  return `weir/${encodeURIComponent(agent)}/${rest}`;
}
