/**
 * The seam to an MQTT client that publishes: one connection to one broker, as the bridge needs it.
 * It never connects again by itself and never sends a message twice: both are the bridge's affair,
 * which knows what is durable.
 */

/** CloudEvents attributes by name, as user properties of MQTT 5. */
export type Attributes = Readonly<Record<string, string>>;

export type BridgeMessage = {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** Only with MQTT 5. */
  readonly attributes: Attributes | undefined;
};

export type Answer =
  /** The broker has it. */
  | { readonly kind: "taken" }
  /** MQTT 5: the broker says why it does not take it. */
  | { readonly kind: "refused"; readonly code: number; readonly why: string };

export type Will = { readonly topic: string; readonly payload: Uint8Array };

export interface BridgeLink {
  /** Messages without an answer that the broker allows. */
  readonly receiveMax: number;
  /** Largest packet it takes; Infinity where it does not say. */
  readonly packetBytesMax: number;
  /** Why it is over: the broker or the network ended it; undefined while it is up. */
  readonly ended: LinkEnd | undefined;
  /** Answers so far that say: nobody is subscribed. */
  readonly unheard: number;
  readonly traffic: { readonly sent: number; readonly received: number };
  /** QoS 1. `payload` is left alone until the answer. No answer comes once the link has ended. */
  publish(message: BridgeMessage, onAnswer: (answer: Answer) => void): void;
  /** Says goodbye, so that the broker does not publish the will; then as `destroy`. */
  close(): Promise<void>;
  destroy(): void;
}

export type LinkEnd = {
  readonly why: string;
  /** MQTT 5: another client connected with our client id. */
  readonly takenOver: boolean;
};

/**
 * Opens a connection; a clean session. Faults: UPLINK_UNREACHABLE, UPLINK_LOGIN_REFUSED,
 * UPLINK_REFUSED, and those of the door. `onEnded` is called once, when it is over for whatever reason.
 */
export type ConnectBridge = (options: {
  readonly will: Will | undefined;
  readonly onEnded: () => void;
}) => Promise<BridgeLink>;
