/**
 * The `weir-publish` node: messages into an agent, each acknowledged when it is on the agent's disk. Until
 * then they wait here, in order and bounded.
 */

import { flowLimits } from "../../../../src/core/flow-limits.ts";
import { PublishQueue, type PublishCounts } from "../../agent/publish-queue.ts";
import { migrate, type Settings } from "../../migrations.ts";
import { clientOf } from "../../node/agent-link.ts";
import { StatusLine } from "../../node/status-line.ts";
import type { Done, Message, NodeConfig, Red, RedNode, Send } from "../../red.ts";
import { choiceIn, textIn, wholeIn } from "../../settings.ts";
import { migrations } from "./migrations.ts";
import { payloadOf } from "./payload.ts";

export function register(RED: Red): void {
  RED.nodes.registerType("weir-publish", function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this);
    try {
      const settings = migrate(config, migrations);
      begin(RED, this, { settings, status });
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      this.error(fault.message);
      status.show({ fill: "red", shape: "ring", text: fault.message });
      this.on("input", (_message, _send, done) => done(fault));
      this.on("close", (_removed, done) => {
        status.close();
        done();
      });
    }
  });
}

function begin(
  RED: Red,
  node: RedNode,
  { settings, status }: { readonly settings: Settings; readonly status: StatusLine },
): void {
  const topic = textIn(settings, "topic", true);
  const queue = new PublishQueue({
    client: clientOf(RED, settings),
    messagesMax: wholeIn(settings, "queueMessages", {
      min: 1,
      max: flowLimits.publishMessagesMax,
    }),
    lengthMax: flowLimits.publishLengthMax,
    whenFull: choiceIn(settings, "whenFull", ["refuse", "drop-oldest"]),
    name: node.id,
    onChange: () => show(RED, status, queue.counts),
  });
  show(RED, status, queue.counts);
  node.on("input", (message: Message, send: Send, done: Done) => {
    let payload: unknown;
    let to: string;
    try {
      to = topicOf(message, topic);
      payload = payloadOf(message["payload"]);
    } catch (error) {
      return done(error instanceof Error ? error : new Error(String(error)));
    }
    queue.offer(to, payload, (error) => {
      if (error === undefined) send([[message]]);
      done(error);
    });
    show(RED, status, queue.counts);
  });
  node.on("close", (_removed, done) => {
    void queue.close().then(() => {
      status.close();
      done();
    });
  });
}

function topicOf(message: Message, configured: string): string {
  if (configured !== "") return configured;
  const { topic } = message;
  if (typeof topic === "string" && topic !== "") return topic;
  throw new Error("the message has no topic: set one in the node, or in msg.topic");
}

function show(
  RED: Red,
  status: StatusLine,
  { waiting, dropped, refused, undecoded, published, trouble }: PublishCounts,
): void {
  const counts = Object.entries({ waiting, published, dropped, refused, undecoded })
    .filter(([name, count]) => count > 0 || name === "published")
    .map(([name, count]) => `${RED._(`status.${name}`)} ${count}`)
    .join(" · ");
  if (trouble !== undefined) {
    status.show({ fill: "red", shape: "ring", text: `${counts} · ${trouble}` });
    return;
  }
  const isWell = dropped + refused + undecoded === 0;
  status.show({ fill: isWell ? "green" : "yellow", shape: "dot", text: counts });
}
