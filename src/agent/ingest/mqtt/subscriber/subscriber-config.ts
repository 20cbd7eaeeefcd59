/** What a user says about a broker that a site already runs; made from `brokers` of weir.yaml. */

import type { ConnectAddress } from "../../../../core/doors.ts";
import { limits } from "../../../../core/limits.ts";

export type QoS = 0 | 1 | 2;

export type BrokerAddress = {
  /** As the user wrote it, for people. */
  readonly url: string;
  readonly connect: ConnectAddress;
};

export type BrokerConfig = {
  readonly name: string;
  /** At least one; tried in turn. */
  readonly addresses: readonly BrokerAddress[];
  /** Protocol level: 5 is MQTT 5, 4 is 3.1.1. */
  readonly level: 4 | 5;
  /** The broker knows our session by it. */
  readonly clientId: string;
  /** How long the broker keeps the session while we are away; undefined for no session at all. */
  readonly sessionMs: number | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Silence after which we ask whether the broker is there. */
  readonly keepAliveMs: number;
  /** How long we wait for an answer. */
  readonly answerMs: number;
  /** Of the subscriptions. */
  readonly qos: QoS;
  /** Messages the broker may send before we acknowledge (level 5). */
  readonly receiveMax: number;
  /** Group of a shared subscription. */
  readonly share: string | undefined;
  /** How often the canary flies, and where; undefined where it does not. */
  readonly canary: { readonly topic: string; readonly everyMs: number } | undefined;
};

/** Everything but who and where it is. */
export const brokerDefaults: Omit<BrokerConfig, "name" | "addresses" | "clientId"> = {
  level: 5,
  sessionMs: 7 * 86_400_000,
  user: undefined,
  password: undefined,
  keepAliveMs: limits.brokerKeepAliveMs,
  answerMs: limits.brokerAnswerMs,
  qos: 1,
  receiveMax: 1_000,
  share: undefined,
  canary: undefined,
};
