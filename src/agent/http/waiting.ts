/**
 * What is answered while the agent waits for its disk: nothing but that, and why. MQTT does not listen
 * meanwhile, so nobody is acknowledged.
 */

import type { Clock } from "../../core/doors.ts";
import type { HttpConfig } from "../config/http-config.ts";
import { type DegradedReason, degradedNames } from "../degraded-reason.ts";
import { EXPOSITION_TYPE, expositionOf } from "../metrics/exposition.ts";
import { version } from "../version.ts";
import { notYetReply, readingsPath } from "./post-routes.ts";
import { json, type Reply, text } from "./reply.ts";
import { type HttpServer, openServer } from "./server.ts";

export type WaitingAgent = {
  readonly agent: string;
  readonly dataDirectory: string;
  /** Why it waits, at the moment. */
  readonly reason: () => DegradedReason;
};

/** Faults as `openHttp`. */
export async function openWaitingHttp(
  { tokens = [], allowedHosts = [], ...at }: HttpConfig,
  waiting: WaitingAgent & { readonly clock: Clock },
): Promise<HttpServer> {
  const { clock } = waiting;
  const write = async (): Promise<Reply> => notYetReply(waiting.reason().message);
  const options = { ...at, tokens, allowedHosts, clock, note: () => undefined };
  return await openServer(options, {
    paths: [...answers.keys()],
    writable: new Map([[readingsPath, { methods: ["POST"], needs: "publisher", write }]]),
    answer: ({ path, open }) => {
      const known = open ? openAnswers : answers;
      return Promise.resolve(known.get(path)?.(waiting));
    },
  });
}

type Answer = (waiting: WaitingAgent) => Reply;

const answers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ["/", page],
  ["/healthz", (waiting) => json(200, stateOf(waiting))],
  ["/readyz", (waiting) => json(503, stateOf(waiting))],
  ["/metrics", (waiting) => text(EXPOSITION_TYPE, metrics(waiting))],
  ["/v1/status", status],
]);

/** For those who have no token, where tokens are needed. It is alive, and that is all they may know. */
const openAnswers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
  ["/", () => pageWith("weir waits for its disk. It begins by itself.")],
  ["/healthz", () => json(200, { healthy: true })],
]);

function stateOf({ reason }: WaitingAgent): object {
  const { name, message } = reason();
  return { state: "degraded", reasons: [message], degraded: [name] };
}

/** There is no store to tell of: a sentence for `weir status`, the same by name for programs. */
function status(waiting: WaitingAgent): Reply {
  const { agent, dataDirectory } = waiting;
  const { name, message } = waiting.reason();
  const about = { agent, version, dataDirectory, ...stateOf(waiting) };
  return json(503, { error: name, message: `it waits for its disk: ${message}`, ...about });
}

function metrics({ agent, reason }: WaitingAgent): string {
  const { name } = reason();
  const gauge = "gauge" as const;
  return expositionOf([
    {
      name: "weir_info",
      type: gauge,
      help: "The agent and its version.",
      samples: [{ labels: { agent, version }, value: 1 }],
    },
    {
      name: "weir_state",
      type: gauge,
      help: "1 for the state the agent is in.",
      samples: [{ labels: { state: "degraded" }, value: 1 }],
    },
    {
      name: "weir_degraded",
      type: gauge,
      help: "1 for each reason why the agent is degraded.",
      samples: degradedNames.map((reason) => ({
        labels: { reason },
        value: Number(reason === name),
      })),
    },
  ]);
}

function page({ agent, reason }: WaitingAgent): Reply {
  const { name, message } = reason();
  return pageWith(
    `${agent} waits for its disk and begins by itself. Nothing is lost: nobody is acknowledged meanwhile. ${name}: ${message}`,
  );
}

/** Looks again by itself. */
function pageWith(sentence: string): Reply {
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>weir waits</title>
<h1>weir</h1>
<p>${sentence.replaceAll("&", "&amp;").replaceAll("<", "&lt;")}</p>
</html>
`;
  return { code: 503, type: "text/html; charset=utf-8", body };
}
