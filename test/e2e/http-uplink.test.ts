/**
 * A real agent that posts to an endpoint over HTTPS with a token, and is killed again and again while
 * readings flow and the endpoint loses answers.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { connectAsync } from "mqtt";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { issue, makeAuthority, serverNames } from "../support/certificates.ts";
import { requireTool } from "../support/require-tool.ts";

const run = promisify(execFile);
const main = resolve(import.meta.dirname, "../../src/agent/cli/main.ts");
const token = "token-of-the-e2e";
const windowsMin = 60;
/** Of `commit.markers`, where nothing is said. */
const markerMs = 3_600_000;

type Event = {
  readonly id: string;
  readonly type: string;
  readonly data: {
    readonly id: string;
    /** Of a summary. */
    readonly start: number;
    /** Of a marker. */
    readonly through: number;
    readonly readings: number;
  };
};

/** Takes batches of CloudEvents; loses every third answer, and answers 503 now and then. */
class Endpoint {
  readonly events: Event[] = [];
  readonly bodyOf = new Map<string, string>();
  repeated = 0;
  posts = 0;

  readonly take = (request: IncomingMessage, response: ServerResponse): void => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => this.#took(request, Buffer.concat(parts), response));
  };

  #took({ headers, socket }: IncomingMessage, bytes: Buffer, response: ServerResponse): void {
    if (headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401).end();
      return;
    }
    this.posts += 1;
    if (this.posts % 7 === 0) {
      response.writeHead(503, { "Retry-After": "1" }).end();
      return;
    }
    const key = String(headers["idempotency-key"]);
    const body = gunzipSync(bytes).toString();
    const before = this.bodyOf.get(key);
    if (before !== undefined) {
      this.repeated += 1;
      assert.equal(body, before, `${key} is one body for ever`);
    } else this.events.push(...(JSON.parse(body) as Event[]));
    this.bodyOf.set(key, body);
    if (this.posts % 3 === 0) socket.destroy();
    else response.writeHead(202).end();
  }
}

async function listen(t: TestContext, folder: string, endpoint: Endpoint) {
  const authority = makeAuthority(join(folder, "ca"));
  const { key, certificate } = issue(authority, { name: "server", names: serverNames });
  const options = { key: readFileSync(key), cert: readFileSync(certificate) };
  const server: Server = createServer(options, endpoint.take);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, ca: authority.certificate };
}

test("an agent that is killed again and again posts each record, under its id, and once by key", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const folder = mkdtempSync(join(tmpdir(), "weir-http-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const endpoint = new Endpoint();
  const { port, ca } = await listen(t, folder, endpoint);
  const mqtt = await freePort();
  const config = join(folder, "weir.yaml");
  writeFileSync(join(folder, "token"), `${token}\n`);
  const text = `version: 1
agent: gw1
data: ./data
mqtt: { port: ${mqtt}, anonymous: true }
http: { port: 0 }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] }, disorder: 0s }]
pipelines: [{ name: temp, key: [device], window: { tumbling: 1s } }]
commit: { interval: 100ms }
uplinks:
  - http:
      url: https://127.0.0.1:${port}/in
      token: "\${file:token}"
      tls: { ca: ${ca} }
      format: cloudevents
      compress: gzip
      linger: 0s
`;
  writeFileSync(config, text);
  const checked = await run(process.execPath, [main, "check", "--config", config]);
  assert.match(checked.stdout, /POST to https:\/\/127\.0\.0\.1:\d+\/in, TLS, login by token/);
  assert.ok(!(checked.stdout + checked.stderr).includes(token));

  // A marker comes where an interval ends: half-way through, whatever the time of day.
  const boundary = Math.floor(Date.now() / markerMs) * markerMs - markerMs;
  const begin = boundary - (windowsMin / 2) * 1_000;
  let sent = 0;
  const ofKind = (kind: string): Event[] =>
    endpoint.events.filter(({ type }) => type === `weir.${kind}.v1`);
  for (let life = 0; life < 4; life++) {
    const agent = await startAgentProcess(["run", "--config", config]);
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, { reconnectPeriod: 0 });
    for (let i = 0; i < windowsMin / 4; i++) {
      const payload = JSON.stringify({ temp: sent, time: begin + sent * 1_000 });
      await client.publishAsync("plant/p1", payload, { qos: 1 });
      sent += 1;
      await wait(60);
    }
    await client.endAsync(true);
    if (life === 3) {
      // The last window stays open: nothing comes after it.
      for (let i = 0; i < 300 && ofKind("summary").length < sent - 1; i++) await wait(100);
    }
    await agent.kill(life === 3 ? "SIGTERM" : "SIGKILL");
    assert.ok(!agent.output().includes(token));
  }
  const starts = ofKind("summary")
    .map(({ data }) => data.start)
    .sort((one, other) => one - other);
  const expected = Array.from({ length: sent - 1 }, (_, index) => begin + index * 1_000);
  assert.deepEqual([...new Set(starts)], expected, "every window is there");
  assert.deepEqual(starts, expected, "and, by the keys of POSTs, once");
  const [marker, ...others] = ofKind("complete");
  assert(marker !== undefined, "an interval ended, so its windows are marked complete");
  assert.deepEqual(others, [], "once");
  const { through, readings } = marker.data;
  assert.ok(through >= boundary && through < begin + sent * 1_000, `complete through ${through}`);
  assert.equal(readings, (through - begin) / 1_000, "one reading in each window");
  const behind = endpoint.events.slice(0, endpoint.events.indexOf(marker));
  assert.equal(
    behind.filter(({ data }) => data.start < through).length,
    readings,
    "the marker comes after what it counts",
  );
  assert.equal(endpoint.events.length, sent, "nothing else");
  const ids = new Set(endpoint.events.map(({ id }) => id));
  assert.equal(ids.size, endpoint.events.length);
  assert.equal(new Set([...ids].map((id) => id.split(":")[0])).size, 1, "one history");
  assert.ok(endpoint.repeated > 0, "some were repeated");
});
