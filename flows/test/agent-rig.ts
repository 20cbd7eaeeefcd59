/** A real agent in this process for the nodes that talk to one, which can be ended and started again. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import { configOf, fileUplinkDefaults, sourceDefaults } from "../../src/agent/config/config.ts";
import { startAgent } from "../../src/agent/start.ts";
import { freePorts } from "../../test/support/ports.ts";
import { secondsPipeline } from "../../test/support/pipelines.ts";
import { agentAt } from "./listening.ts";
import type { FlowNode } from "./rig.ts";

export class AgentRig {
  readonly #folder: string;
  readonly #port: number;
  #agent: Agent | undefined;
  #lives = 0;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /** One that runs; it is ended with the test. */
  static async start(t: TestContext): Promise<AgentRig> {
    const folder = mkdtempSync(join(tmpdir(), "weir-flows-agent-"));
    const [port = 0] = await freePorts(1);
    const rig = new AgentRig(folder, port);
    t.after(async () => {
      await rig.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    await rig.start();
    return rig;
  }

  /** The configuration node of the flow that names it, "agent1". */
  get node(): FlowNode {
    return agentAt(this.#port);
  }

  get agent(): Agent {
    if (this.#agent === undefined) throw new Error("the agent is stopped");
    return this.#agent;
  }

  /** `anew`: without what it knew. */
  async start({ anew = false }: { readonly anew?: boolean } = {}): Promise<void> {
    if (anew) this.#lives += 1;
    const dataDirectory = join(this.#folder, `data-${this.#lives}`);
    const config = configOf({
      agent: "gw1",
      dataDirectory,
      http: { host: "127.0.0.1", port: this.#port },
      mqtt: { host: "127.0.0.1", port: 0, anonymous: true, users: [] },
      sources: [
        {
          ...sourceDefaults,
          name: "plant",
          topics: ["plant/{line}/{device}/state"],
          disorderMs: 0,
        },
      ],
      pipelines: [secondsPipeline],
      uplinks: [{ ...fileUplinkDefaults, directory: join(this.#folder, "out") }],
    });
    this.#agent = await startAgent(config, {
      onFailed: (fault) => {
        throw fault;
      },
    });
  }

  async stop(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.close();
  }

  /** Readings of device p1, one for each of these seconds: each closes the window before it. */
  async feed(seconds: readonly number[]): Promise<void> {
    for (const second of seconds) {
      const payload = new TextEncoder().encode(`{"ts":${startMs + second * 1_000},"v":${second}}`);
      await this.agent.feeder.feed("plant/a/p1/state", payload);
    }
    await this.agent.feeder.settled();
  }
}

export const startMs: number = Date.parse("2026-03-01T10:00:00Z");
