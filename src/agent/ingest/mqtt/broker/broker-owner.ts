/**
 * The two sides of the broker: who owns it and is asked by it, and one connection's link to it, as
 * each sees the other.
 */

import type { Credential, Presence } from "../access/access.ts";
import type { Note } from "./notes.ts";

/** A message the broker wants to publish for a client: a QoS 2 PUBLISH, a will, or what the front passed on. */
export type AskedMessage = {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Memory that waits with it: its payload, and its note. */
  readonly bytes: number;
  /** 0 for a will, and for QoS 0. */
  readonly packetId: number;
  /** Within one session a QoS 2 packet id means one message until its PUBREL. */
  readonly session: string;
  /** The session outlives its connection: sent again, the message is still recognised. */
  readonly persistent: boolean;
  readonly client: LinkOwner;
  /** Lets the broker go on; with a refusal it closes the connection and does not publish. */
  readonly done: (refusal?: Error) => void;
};

export type Login = {
  readonly name: string | undefined;
  readonly password: Uint8Array | undefined;
  /** As the broker knows the client: one it made up where the client gave none. */
  readonly clientId: string;
  /** Topic of the will, where there is one. */
  readonly will: string | undefined;
  readonly client: LinkOwner;
};

/** "ok", or a CONNACK return code: 3 server unavailable, 4 bad user name or password, 5 not authorised. */
export type LoginAnswer = "ok" | 3 | 4 | 5;

export interface BrokerOwner {
  login(login: Login): Promise<LoginAnswer>;
  /** Whether what the client published, its will included, may still be passed on: its user may be gone. */
  mayPublish(
    client: LinkOwner,
    message: { readonly topic: string; readonly isWill: boolean },
  ): boolean;
  asked(message: AskedMessage): void;
  /** Whether the client may have this subscription; also asked when its session comes back. */
  maySubscribe(client: LinkOwner, filter: string): boolean;
  /** Whether a message may be delivered to the client. */
  mayReceive(client: LinkOwner, topic: string): boolean;
  /** The backlog fell below half of its bound. */
  eased(): void;
  dropped(what: "waiting" | "retained" | "qos2" | "subscription" | "expired" | "passedOver"): void;
  /** Something failed inside the broker that no client is told of. */
  erred(): void;
}

/** One connection as the broker's link sees it. */
export interface LinkOwner {
  brokerWrote(pieces: readonly Uint8Array[]): void;
  /** What was pushed has been read: what waits for that may go on. */
  goOn(): void;
  /** The broker closed the link: after DISCONNECT, an error, or another client of the same id. */
  brokerClosed(): void;
  /** One of its messages, of so many bytes, waits for the disk; `messageSettled` follows. */
  messageHeld(bytes: number): void;
  messageSettled(bytes: number): void;
  readonly isClosed: boolean;
  /** "address:port" of the client. */
  readonly remote: string;
  /** Of the certificate it came with, which was verified. */
  readonly certificateName: string | undefined;
  /** As whom it is connected, once its login was right. */
  readonly credential: Credential | undefined;
  /** Its login was right. */
  enters(credential: Credential, presence: Presence): void;
  /** It logged in, and becomes the one client of this id: before its session is looked at. */
  arrive(clientId: string): Promise<void> | undefined;
  readonly session: LinkSession;
}

/** What the broker must know of a client's session that is not in 3.1.1. */
export interface LinkSession {
  /**
   * What its QoS 2 message of this packet id, or its will (0), says that 3.1.1 has no word for. Given
   * once for each message: from then on the broker keeps it, beside the payload.
   */
  takeNote(packetId: number): Note | undefined;
  /** The name of its session, where it may outlive the connection and the broker does not know it. */
  readonly sessionName: string | undefined;
  /** Whether its session, which the broker keeps, is over all the same. */
  readonly isSessionOver: boolean;
  /** Whether the broker gives it what it published itself on this connection, where it subscribed to that. */
  readonly hearsItself: boolean;
  /** Whether retained messages are to be sent for the filter it subscribed to. */
  wantsRetained(filter: string): boolean;
}

export interface BrokerLink {
  /** Bytes pushed that the broker has not read. */
  readonly unreadBytes: number;
  /** A whole packet, whose bytes the broker owns from now on. */
  push(packet: Uint8Array): void;
  /** The client is gone; the broker still reads what was pushed, then sends the will if one is due. */
  finish(): void;
  /** No will is due any more. */
  cancelWill(): void;
}
