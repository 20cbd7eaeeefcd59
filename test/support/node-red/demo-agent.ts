/** The agent that `npm start` runs, on ports of its own and with few devices; it is killed and comes back. */

import { join } from "node:path";
import type { TestContext } from "node:test";
import { connectAsync } from "mqtt";
import { type AgentProcess, startAgentProcess } from "../agent-process.ts";
import { freePorts } from "../ports.ts";

/** Among so many there are cold rooms, pumps, tanks and meters. */
const devices = 20;

export class DemoAgent {
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly #data: string;
  #process: AgentProcess | undefined;

  private constructor(folder: string, [mqttPort = 0, httpPort = 0]: readonly number[]) {
    this.#data = join(folder, "agent");
    this.mqttPort = mqttPort;
    this.httpPort = httpPort;
  }

  /** One that runs; it is ended with the test. */
  static async start(t: TestContext, folder: string): Promise<DemoAgent> {
    const agent = new DemoAgent(folder, await freePorts(2));
    t.after(() => agent.end());
    await agent.start("--fresh");
    return agent;
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  /** Where its results go. */
  get upstream(): string {
    return join(this.#data, "upstream");
  }

  /** An example as it is in the package, with this agent in place of the one of `npm start`. */
  addressed(flow: string): string {
    return flow
      .replaceAll("http://127.0.0.1:8080", this.url)
      .replaceAll('"port": "1883"', `"port": "${this.mqttPort}"`);
  }

  /** Goes on with what it had. */
  async start(...options: readonly string[]): Promise<void> {
    const own = ["--port", `${this.mqttPort}`, "--http", `${this.httpPort}`];
    this.#process = await startAgentProcess(
      ["demo", "--plain", "--devices", `${devices}`, "--data", this.#data, ...own, ...options],
      /Ctrl-C ends it/,
    );
    // A port that was taken meanwhile would be another one.
    if (!this.#process.output().includes(`${this.url}/`)) {
      throw new Error(`the demo is not at ${this.url}:\n${this.#process.output()}`);
    }
  }

  /** kill -9; the simulated devices end with it. */
  async kill(): Promise<void> {
    await this.#process?.kill("SIGKILL");
    this.#process = undefined;
  }

  /** As Ctrl-C does: what it has goes upstream first. */
  async end(): Promise<void> {
    await this.#process?.kill("SIGINT");
    this.#process = undefined;
  }

  /** A pressure that is steady for a minute, and then far off: an alert of the demo's outliers. */
  async alarm(device: string): Promise<void> {
    const client = await connectAsync(`mqtt://127.0.0.1:${this.mqttPort}`, { reconnectPeriod: 0 });
    const begin = Date.now() - 60_000;
    const publishing = Array.from({ length: 60 }, (_, second) => {
      const pressure = second === 55 ? 9 : 4 + (second % 2) / 100;
      const payload = JSON.stringify({ ts: begin + second * 1_000, pressure });
      return client.publishAsync(`plant/line-1/${device}/state`, payload, { qos: 1 });
    });
    await Promise.all(publishing);
    await client.endAsync();
  }
}
