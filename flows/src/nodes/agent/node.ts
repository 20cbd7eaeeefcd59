/** The configuration node `weir-agent`: where an agent is, and who asks. */

import { AgentClient, urlOf } from "../../agent/agent-client.ts";
import { migrate } from "../../migrations.ts";
import type { AgentNode } from "../../node/agent-link.ts";
import type { NodeConfig, Red } from "../../red.ts";
import { textIn } from "../../settings.ts";
import { migrations } from "./migrations.ts";

/** What Node-RED's own `tls-config` gives. */
type TlsNode = { addTLSOptions(options: Record<string, unknown>): unknown };

export function register(RED: Red): void {
  RED.nodes.registerType(
    "weir-agent",
    function (this: AgentNode, config: NodeConfig) {
      RED.nodes.createNode(this, config);
      try {
        const settings = migrate(config, migrations);
        const tls: Record<string, unknown> = {};
        const id = settings["tls"];
        if (typeof id === "string" && id !== "") tlsNodeOf(RED, id).addTLSOptions(tls);
        const token = this.credentials?.["token"]?.trim();
        const url = urlOf(textIn(settings, "address", true));
        const client = new AgentClient({ url, tls, token: token === "" ? undefined : token });
        this.weirClient = client;
        this.on("close", (_removed, done) => {
          client.close();
          done();
        });
      } catch (error) {
        this.weirFault = error instanceof Error ? error.message : String(error);
        this.error(this.weirFault);
      }
    },
    { credentials: { token: { type: "password" } } },
  );
}

function tlsNodeOf(RED: Red, id: string): TlsNode {
  const node = RED.nodes.getNode(id);
  if (typeof node === "object" && node !== null && "addTLSOptions" in node) return node as TlsNode;
  throw new Error("the TLS configuration of the agent is missing: open its node and choose one");
}
