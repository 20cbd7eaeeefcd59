/** How a session's connection ends, as far as we know, and how that is told. */

import type { ProtocolFault } from "../packet/parser.ts";
import type { BrokerConfig } from "./subscriber-config.ts";
import type { Said } from "./packets.ts";
import { reasonText } from "./reasons.ts";

export type SessionEnd =
  | { readonly kind: "refused" | "disconnected"; readonly code: number; readonly said: Said }
  | { readonly kind: "protocol"; readonly fault: ProtocolFault }
  | { readonly kind: "silent"; readonly missing: "CONNACK" | "SUBACK" }
  /** Silent for the keep alive and the wait for an answer; or it reads nothing we send. */
  | { readonly kind: "half-open" | "unread" }
  | { readonly kind: "deaf" };

/** What happened, as the rest of a sentence that begins with the address. */
export function endText(
  end: SessionEnd,
  { level, answerMs, keepAliveMs }: Pick<BrokerConfig, "level" | "answerMs" | "keepAliveMs">,
): string {
  switch (end.kind) {
    case "refused":
      return `it does not let us in: ${reasonText(end.code, end.said)}`;
    case "disconnected":
      return `it ended the connection: ${reasonText(end.code, end.said)}`;
    case "protocol":
      return `what it sent is not MQTT ${level === 5 ? "5" : "3.1.1"}, or not then (${end.fault.replaceAll("_", " ")})`;
    case "silent":
      return `no ${end.missing} within ${answerMs} ms`;
    case "half-open":
      return `no sign of life for ${keepAliveMs} ms, and none within ${answerMs} ms of asking`;
    case "unread":
      return "it sends, but reads nothing of what we answer; see its log";
    case "deaf":
      return "two canaries in a row did not come back, though the connection stood";
  }
}
