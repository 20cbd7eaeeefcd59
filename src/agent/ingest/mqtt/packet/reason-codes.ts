/** Reason codes of MQTT 5 that are sent, by their names in the specification (MQTT 5, 2.4). */

import type { ProtocolFault } from "./parser.ts";

export const SUCCESS = 0x00;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const UNSPECIFIED_ERROR = 0x80;
export const MALFORMED_PACKET = 0x81;
export const PROTOCOL_ERROR = 0x82;
const UNSUPPORTED_VERSION = 0x84;
const CLIENT_ID_NOT_VALID = 0x85;
const BAD_USER_OR_PASSWORD = 0x86;
export const NOT_AUTHORIZED = 0x87;
const SERVER_UNAVAILABLE = 0x88;
export const SERVER_SHUTTING_DOWN = 0x8b;
export const BAD_AUTHENTICATION_METHOD = 0x8c;
export const KEEP_ALIVE_TIMEOUT = 0x8d;
export const SESSION_TAKEN_OVER = 0x8e;
export const TOPIC_FILTER_INVALID = 0x8f;
export const TOPIC_NAME_INVALID = 0x90;
export const PACKET_ID_NOT_FOUND = 0x92;
const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
const TOPIC_ALIAS_INVALID = 0x94;
export const PACKET_TOO_LARGE = 0x95;
export const QUOTA_EXCEEDED = 0x97;
export const SHARED_NOT_SUPPORTED = 0x9e;

/** From here on a reason code is a refusal. */
export const REFUSED_FROM = 0x80;

/** What a client is told that broke the protocol. */
export const reasonOfFault: Readonly<Record<ProtocolFault, number>> = {
  length_malformed: MALFORMED_PACKET,
  packet_too_large: PACKET_TOO_LARGE,
  packet_truncated: MALFORMED_PACKET,
  packet_too_long: MALFORMED_PACKET,
  packet_unexpected: PROTOCOL_ERROR,
  flags_invalid: MALFORMED_PACKET,
  qos_invalid: MALFORMED_PACKET,
  packet_id_zero: PROTOCOL_ERROR,
  topic_invalid: TOPIC_NAME_INVALID,
  topic_missing: PROTOCOL_ERROR,
  property_malformed: MALFORMED_PACKET,
  property_invalid: PROTOCOL_ERROR,
  alias_invalid: TOPIC_ALIAS_INVALID,
  alias_bytes_exceeded: QUOTA_EXCEEDED,
  receive_maximum_exceeded: RECEIVE_MAXIMUM_EXCEEDED,
  filters_missing: PROTOCOL_ERROR,
  filter_malformed: MALFORMED_PACKET,
  options_invalid: PROTOCOL_ERROR,
  connect_expected: PROTOCOL_ERROR,
  connect_repeated: PROTOCOL_ERROR,
  connect_invalid: MALFORMED_PACKET,
  client_id_missing: CLIENT_ID_NOT_VALID,
  protocol_unsupported: UNSUPPORTED_VERSION,
};

/** The CONNACK reason of a return code of 3.1.1. */
export function reasonOfReturnCode(code: number): number {
  switch (code) {
    case 0:
      return SUCCESS;
    case 1:
      return UNSUPPORTED_VERSION;
    case 2:
      return CLIENT_ID_NOT_VALID;
    case 3:
      return SERVER_UNAVAILABLE;
    case 4:
      return BAD_USER_OR_PASSWORD;
    case 5:
      return NOT_AUTHORIZED;
    default:
      return UNSPECIFIED_ERROR;
  }
}
