/** What the nodes share that talk to an agent: the configuration node that they name. */

import type { AgentClient } from "../agent/agent-client.ts";
import type { Settings } from "../migrations.ts";
import type { Red, RedNode } from "../red.ts";

/** The configuration node `weir-agent`, as the others see it. */
export type AgentNode = RedNode & {
  /** Absent where its settings are wrong. */
  weirClient?: AgentClient;
  weirFault?: string;
};

/** The client of the agent that a node names. Throws an Error that says what is missing. */
export function clientOf(RED: Red, settings: Settings): AgentClient {
  const id = settings["agent"];
  const node = typeof id === "string" && id !== "" ? RED.nodes.getNode(id) : undefined;
  if (typeof node !== "object" || node === null) {
    throw new Error("no agent is chosen: open the node and choose one, or add one");
  }
  const { weirClient, weirFault } = node as AgentNode;
  if (weirClient === undefined) throw new Error(weirFault ?? "the agent's node is no weir-agent");
  return weirClient;
}
