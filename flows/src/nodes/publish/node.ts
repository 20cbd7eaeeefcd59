/**
 * The `weir-publish` node: messages into an agent, each acknowledged when it is on the agent's disk. Until
 * then they wait here, in order and bounded.
 */

import { counted } from "../../../../src/core/counted.ts";
import { flowLimits } from "../../../../src/core/flow-limits.ts";
import { type LeftMessages, PublishQueue, type PublishCounts } from "../../agent/publish-queue.ts";
import { wordOf } from "../../agent/trouble.ts";
import { migrate, type Settings } from "../../migrations.ts";
import { clientOf } from "../../node/agent-link.ts";
import { StatusLine } from "../../node/status-line.ts";
import type { Done, Message, NodeConfig, Red, RedNode, Send, Status } from "../../red.ts";
import { choiceIn, textIn, wholeIn } from "../../settings.ts";
import { migrations } from "./migrations.ts";
import { lineOf } from "./payload.ts";

/** What nodes left when they closed, by their ids, for those that start again in this process. */
type LeftHere = Map<string, LeftMessages>;

export function register(RED: Red): void {
  const here: LeftHere = new Map();
  RED.nodes.registerType("weir-publish", function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this);
    try {
      const settings = migrate(config, migrations);
      begin(RED, this, { settings, status, here });
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      this.error(fault.message);
      status.show({ fill: "red", shape: "ring", text: fault.message });
      this.on("input", (_message, _send, done) => done(fault));
      this.on("close", (removed, done) => {
        const left = here.get(this.id);
        if (removed && left !== undefined) leave(this, { left, removed, here });
        status.close();
        done();
      });
    }
  });
}

function begin(
  RED: Red,
  node: RedNode,
  {
    settings,
    status,
    here,
  }: { readonly settings: Settings; readonly status: StatusLine; readonly here: LeftHere },
): void {
  const topic = textIn(settings, "topic", true);
  const client = clientOf(RED, settings);
  const queue = new PublishQueue<Sender>({
    client,
    messagesMax: wholeIn(settings, "queueMessages", {
      min: 1,
      max: flowLimits.publishMessagesMax,
    }),
    lengthMax: flowLimits.publishLengthMax,
    whenFull: choiceIn(settings, "whenFull", ["refuse", "drop-oldest"]),
    left: leftFor(client.name, node, here),
    onSettled: ({ message, sender }, error) => {
      if (error === undefined) (sender?.send ?? ((outputs) => node.send(outputs)))([[message]]);
      if (sender !== undefined) sender.done(error);
      else if (error !== undefined) node.error(error.message, message);
    },
    onTrouble: (trouble) => {
      if (trouble === undefined) node.log(`the agent at ${client.name} answers again`);
      else node.warn(trouble.message);
    },
    onChange: () => status.show(() => statusOf(RED, queue.counts)),
  });
  status.show(() => statusOf(RED, queue.counts));
  node.on("input", (message: Message, send: Send, done: Done) => {
    try {
      const to = topicOf(message, topic);
      const line = lineOf(to, message["payload"]);
      queue.offer({ topic: to, line, message, sender: { send, done } });
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });
  node.on("close", (removed, done) => {
    const close = async (): Promise<void> => {
      leave(node, { left: await queue.close(), removed, here });
      status.close();
    };
    void close().then(() => done(), done);
  });
}

/** Who hears of a message. */
type Sender = { readonly send: Send; readonly done: Done };

/** What this node left: for another agent than it was for, only what is at none. */
function leftFor(agent: string, node: RedNode, here: LeftHere): LeftMessages | undefined {
  const left = here.get(node.id);
  here.delete(node.id);
  if (left === undefined || left.agent === agent) return left;
  const bound = boundOf(left);
  const free = countOf(left) - bound;
  if (free > 0) {
    node.log(
      `now for the agent at ${agent}: ${counted(free, "message")} that waited for that at ${left.agent}, which has not answered since`,
    );
  }
  if (bound > 0) {
    node.warn(
      `dropped: ${counted(bound, "message")} for the agent at ${left.agent}, which may have them or answered while they waited; the node has another agent now`,
    );
  }
  const { body, waiting, unanswered } = left;
  return {
    agent,
    body: body?.isBound === true ? undefined : body,
    waiting: waiting.slice(waiting.length - unanswered),
    unanswered,
  };
}

/** A deploy goes on with what is left; that an end of Node-RED loses it is said while it can be. */
function leave(
  node: RedNode,
  {
    left,
    removed,
    here,
  }: { readonly left: LeftMessages; readonly removed: boolean; readonly here: LeftHere },
): void {
  const count = countOf(left);
  if (count === 0) return;
  if (removed) here.delete(node.id);
  else here.set(node.id, left);
  const what = removed
    ? "the node is gone, and what waited is lost"
    : `the node sends what waits at its next start here, ${addresseeOf(left)}; an end of Node-RED loses it`;
  node.warn(`the agent at ${left.agent} does not have ${counted(count, "message")} yet: ${what}`);
}

function addresseeOf(left: LeftMessages): string {
  const bound = boundOf(left);
  const free = "to whichever agent it has then";
  if (bound === 0) return free;
  return bound === countOf(left)
    ? "to that agent alone"
    : `${bound} to that agent alone, the others ${free}`;
}

/** How many are for that agent alone. */
function boundOf({ body, waiting, unanswered }: LeftMessages): number {
  const underWay = body?.isBound === true ? body.messages.length : 0;
  return waiting.length - unanswered + underWay;
}

function countOf({ body, waiting }: LeftMessages): number {
  return waiting.length + (body?.messages.length ?? 0);
}

function topicOf(message: Message, configured: string): string {
  if (configured !== "") return configured;
  const { topic } = message;
  if (typeof topic === "string" && topic !== "") return topic;
  throw new Error("the message has no topic: set one in the node, or in msg.topic");
}

function statusOf(
  RED: Red,
  { waiting, dropped, refused, undecoded, published, trouble }: PublishCounts,
): Status {
  const counts = Object.entries({ waiting, published, dropped, refused, undecoded })
    .filter(([name, count]) => count > 0 || name === "published")
    .map(([name, count]) => `${RED._(`status.${name}`)} ${count}`)
    .join(" · ");
  if (trouble !== undefined) {
    return {
      fill: "red",
      shape: "ring",
      text: `${counts} · ${RED._(`status.${wordOf(trouble)}`)}`,
    };
  }
  const isWell = dropped + refused + undecoded === 0;
  return { fill: isWell ? "green" : "yellow", shape: "dot", text: counts };
}
