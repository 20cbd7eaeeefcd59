/**
 * A command out of a topic: what one record asks of which agent. Documented in docs/raw.md.
 *
 *   {"v":1,"command":"raw.ask","agent":"gw1","id":"r1","select":["t{device=p1}"],
 *    "from":"2026-11-28T10:00:00Z","to":1764327600000,"priority":"high","expires":..}
 *   {"v":1,"command":"raw.cancel","agent":"gw1","id":"r1"}
 *
 * Whatever is in the record, it ends as one of the kinds of `Command`: nothing here throws. Pure.
 */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { timeOf } from "../query/times.ts";
import { rawIdPattern } from "./raw-check.ts";
import { type RawAsk, rawPriorities } from "./raw-request.ts";

export type Command =
  | {
      readonly kind: "ask";
      readonly ask: RawAsk;
      /** After this it is not to be begun: wall clock, ms. */
      readonly expires: number | undefined;
    }
  | { readonly kind: "cancel"; readonly id: string }
  /** For another agent. */
  | { readonly kind: "elsewhere" }
  /** For us, and it cannot be done; `ask` where an answer can be named by its id. */
  | { readonly kind: "refused"; readonly ask: RawAsk | undefined; readonly reason: string }
  /** Nobody can tell whom it is for. */
  | { readonly kind: "unreadable"; readonly reason: string };

const timeExpected = "a time such as 2026-11-28T10:00:00Z, or milliseconds since 1970";

const time = v.pipe(
  v.union([v.number(), v.string()], timeExpected),
  v.check((value) => absolute(value) !== undefined, timeExpected),
  v.transform((value) => absolute(value) ?? 0),
);

const id = v.pipe(
  v.string("a text"),
  v.regex(rawIdPattern, '1 to 64 letters, digits, "_", "." and "-"'),
);

const askSchema = v.strictObject({
  v: v.literal(1),
  command: v.literal("raw.ask"),
  agent: v.string(),
  id,
  select: v.pipe(
    v.union([v.string(), v.array(v.string())], "a selector, or a list of them"),
    v.transform((select) => (typeof select === "string" ? [select] : select)),
  ),
  from: time,
  to: time,
  priority: v.optional(v.picklist(rawPriorities, `one of ${rawPriorities.join(", ")}`), "normal"),
  expires: v.exactOptional(time),
});

const cancelSchema = v.strictObject({
  v: v.literal(1),
  command: v.literal("raw.cancel"),
  agent: v.string(),
  id,
});

/** What the value of a record asks of `agent`. */
export function commandOf(value: Uint8Array | undefined, agent: string): Command {
  const bytes = value?.length ?? 0;
  if (bytes > limits.commandBytesMax) {
    return unreadable(`it has ${bytes} bytes, more than ${limits.commandBytesMax}`);
  }
  const fields = fieldsOf(value);
  if (fields === undefined) return unreadable("it is no JSON object");
  if (typeof fields["agent"] !== "string") return unreadable("it names no agent");
  if (fields["agent"] !== agent) return { kind: "elsewhere" };
  if (fields["v"] !== 1) {
    return refused(fields, `v is ${text(fields["v"])}: this agent knows version 1 of commands`);
  }
  switch (fields["command"]) {
    case "raw.ask": {
      const parsed = v.safeParse(askSchema, fields);
      if (!parsed.success) return refused(fields, whyNot(parsed.issues));
      const { id, select, from, to, priority, expires } = parsed.output;
      return { kind: "ask", ask: { id, select, from, to, priority }, expires };
    }
    case "raw.cancel": {
      const parsed = v.safeParse(cancelSchema, fields);
      // A manifest of this id would end the answer that was to be cancelled.
      if (!parsed.success)
        return { kind: "refused", ask: undefined, reason: whyNot(parsed.issues) };
      return { kind: "cancel", id: parsed.output.id };
    }
    default:
      return refused(
        fields,
        `${text(fields["command"])} is no command: raw.ask and raw.cancel are`,
      );
  }
}

function unreadable(reason: string): Command {
  return { kind: "unreadable", reason };
}

type Fields = Readonly<Record<string, unknown>>;

/** With what can be said of it upstream. */
function refused(fields: Fields, reason: string): Command {
  const { id, select, from, to } = fields;
  if (typeof id !== "string" || !rawIdPattern.test(id)) {
    return { kind: "refused", ask: undefined, reason };
  }
  const texts = (Array.isArray(select) ? select : [select]).filter(
    (each) => typeof each === "string",
  );
  const ask: RawAsk = {
    id,
    select: texts.slice(0, limits.rawSelectorsMax),
    from: absolute(from) ?? 0,
    to: absolute(to) ?? 0,
    priority: "normal",
  };
  return { kind: "refused", ask, reason };
}

/** Not one from now on: when that is, the record does not say. */
function absolute(value: unknown): number | undefined {
  if (typeof value !== "number" && typeof value !== "string") return undefined;
  return /^(now|-?\d+(\.\d+)?[a-z]+)$/.test(String(value)) ? undefined : timeOf(String(value), 0);
}

function fieldsOf(value: Uint8Array | undefined): Fields | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(value));
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return undefined;
    return Object.fromEntries(Object.entries(parsed));
  } catch {
    return undefined;
  }
}

function whyNot([issue]: readonly v.BaseIssue<unknown>[]): string {
  const key = issue?.path?.[0]?.key;
  const where = typeof key === "string" ? `${key} ` : "";
  if (issue?.expected === "never") return `${where}is not understood here`;
  if (issue?.input === undefined) return `${where}is missing`;
  return `${where}is ${text(issue?.input)}, not ${issue?.message ?? "what it must be"}`;
}

function text(value: unknown): string {
  const json = value === undefined ? "missing" : JSON.stringify(value);
  return json.length > 80 ? `${json.slice(0, 80)}...` : json;
}
