/**
 * A message as a line of a body. The payload is what JSON says of it. Texts and bytes that are JSON themselves, as an `mqtt in` node
 * may give them, are taken as what they say; other texts are texts.
 */

import { flowLimits } from "../../../../src/core/flow-limits.ts";

/** Throws an Error where JSON has no word for the payload, or it is too long. */
export function lineOf(topic: string, payload: unknown): string {
  const value = payloadOf(payload);
  let line: string;
  try {
    line = JSON.stringify({ topic, payload: value });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `the payload cannot be written as JSON (${why}): send numbers, texts, and objects of these`;
    throw new Error(message, { cause });
  }
  const { publishBodyLength: most } = flowLimits;
  if (line.length <= most) return line;
  throw new Error(`the message has ${line.length} characters, more than ${most}`);
}

function payloadOf(payload: unknown): unknown {
  if (typeof payload === "string") return parsedOr(payload);
  if (payload instanceof Uint8Array) return parsedOr(textOf(payload));
  if (payload === undefined || typeof payload === "function" || typeof payload === "symbol") {
    throw new Error("the message has no payload that can be sent");
  }
  if (typeof payload === "number" && !Number.isFinite(payload)) {
    throw new Error(`the payload is ${payload}, which is no number of JSON`);
  }
  return payload;
}

function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A text that is no JSON is a value, too: "open", "23.5 °C".
    return text;
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    const message =
      "the payload is bytes that are no text: decode them first, to an object or a number";
    throw new Error(message, { cause });
  }
}
