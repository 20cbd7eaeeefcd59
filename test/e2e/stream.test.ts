/** A real agent that is killed again and again, and a client that streams from it by HTTP all the while. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { startAgentProcess } from "../support/agent-process.ts";
import { EventReader } from "../support/event-reader.ts";
import { freePorts } from "../support/ports.ts";
import { readUpstream } from "../support/upstream.ts";

/** Comes again where it was, as often as it is cut. */
class Client {
  readonly reader = new EventReader();
  connections = 0;
  #isOver = false;
  #request: ReturnType<typeof get> | undefined;
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
    this.#connect();
  }

  end(): void {
    this.#isOver = true;
    this.#request?.destroy();
  }

  #connect(): void {
    const { lastId } = this.reader;
    const headers = lastId === undefined ? {} : { "Last-Event-ID": lastId };
    const path = "/v1/stream?kinds=alerts,summaries";
    const request = get({ host: "127.0.0.1", port: this.#port, path, headers }, (response) =>
      this.#read(response),
    );
    // Refused, or cut: the end of the request is what is acted upon.
    request.on("error", () => undefined);
    request.on("close", () => {
      this.reader.cut();
      if (!this.#isOver) setTimeout(() => this.#connect(), 50);
    });
    this.#request = request;
  }

  #read(response: IncomingMessage): void {
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers["content-type"], "text/event-stream");
    this.connections += 1;
    response.setEncoding("utf8");
    response.on("data", (piece: string) => this.reader.take(piece));
    response.on("error", () => undefined);
  }
}

test("a client of an agent that is killed again and again gets each record once", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-stream-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [mqtt = 0, http = 0] = await freePorts(2);
  const config = join(folder, "weir.yaml");
  const text = `version: 1
agent: gw1
data: ./data
mqtt: { port: ${mqtt}, anonymous: true }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] }, disorder: 0s }]
pipelines:
  - { name: temp, key: [device], window: { tumbling: 1s } }
commit: { interval: 100ms }
uplinks: [{ file: { directory: ./out } }]
`;
  writeFileSync(config, text);
  const begin = Math.floor(Date.now() / 1_000) * 1_000 - 600_000;
  const lives = 6;
  let sent = 0;
  let client: Client | undefined;
  t.after(() => client?.end());
  const summaries = (): readonly string[] =>
    client!.reader.events.filter(({ event }) => event === "summary").map(({ data }) => data);
  for (let life = 0; life < lives; life++) {
    const agent = await startAgentProcess(["run", "--config", config]);
    client ??= new Client(http);
    for (let i = 0; i < 100 && client.connections <= life; i++) await wait(50);
    const publisher = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { reconnectPeriod: 0 });
    for (let burst = 0; burst < 5; burst++) {
      const publishing = Array.from({ length: 8 }, (_, at) => {
        const payload = JSON.stringify({ temp: sent + at, time: begin + (sent + at) * 1_000 });
        return publisher.publishAsync("plant/p1", payload, { qos: 1 });
      });
      await Promise.all(publishing);
      sent += publishing.length;
      await wait(60);
    }
    await publisher.endAsync(true);
    if (life === lives - 1) {
      for (let i = 0; i < 200 && summaries().length < sent - 1; i++) await wait(50);
    }
    await agent.kill(life === lives - 1 ? "SIGTERM" : "SIGKILL");
  }
  const records = (await readUpstream(join(folder, "out"), "summaries")).filter(
    ({ kind }) => kind === "summary",
  );
  const streamed = summaries().map((data) => JSON.parse(data) as Record<string, unknown>);
  assert.equal(streamed.length, sent - 1, "the last window is open");
  assert.deepEqual(streamed, records, "the same as upstream, in the same order, each once");
  const others = client!.reader.events.filter(({ event }) => event !== "summary");
  assert.deepEqual(new Set(others.map(({ event }) => event)), new Set(["ready"]));
  assert.ok(client!.connections >= lives, "it was cut each time");
});
