/** `weir link`: how the uplinks and links of a running agent are, pausing, resuming, budgets. */

import { linkPath } from "../http/link-routes.ts";
import type { LinkView } from "../uplinks/link-desk.ts";
import { addressOf, agentAt, agentOptions, unknownAgent } from "./agent-client.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { uplinkLines } from "./link-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...agentOptions,
    for: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const asked = askedBy(positionals, values.for);
  const address = await addressOf(values);
  const ask = agentAt(address, asked === undefined ? "GET" : "POST");
  const search = asked === undefined ? "" : `?${new URLSearchParams(asked).toString()}`;
  const view = await ask(`${linkPath}${search}`);
  if (!isView(view)) throw unknownAgent(address);
  if (values.json) console.log(JSON.stringify(view));
  else console.log(linesOf(view));
  return exitCodes.ok;
}

/** What is to be changed, as parameters; undefined: nothing. */
function askedBy(
  [verb, name, ...rest]: readonly string[],
  forText: string | undefined,
): Record<string, string> | undefined {
  if (forText !== undefined && verb !== "pause") throw new UsageError("--for goes with pause");
  const [bytes, further] = verb === "budget" ? rest : [undefined, rest[0]];
  if (further !== undefined) throw new UsageError(`${JSON.stringify(further)} is too much here`);
  switch (verb) {
    case undefined:
      return undefined;
    case "pause":
      return {
        action: verb,
        ...(name === undefined ? {} : { uplink: name }),
        ...(forText === undefined ? {} : { for: forText }),
      };
    case "resume":
      return { action: verb, ...(name === undefined ? {} : { uplink: name }) };
    case "budget":
      if (name === undefined) throw new UsageError("say which link: weir link budget LINK [SIZE]");
      return { action: verb, link: name, ...(bytes === undefined ? {} : { bytes }) };
    default:
      throw new UsageError("say pause, resume or budget, or nothing to see how it is");
  }
}

function linesOf(view: LinkView): string {
  const lines = uplinkLines(view);
  return lines.length === 0 ? "no uplinks, no links" : lines.join("\n");
}

/** By what tells it from other programs; an agent of this version is trusted with the rest. */
function isView(answer: unknown): answer is LinkView {
  return typeof answer === "object" && answer !== null && "uplinks" in answer && "links" in answer;
}
