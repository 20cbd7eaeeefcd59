/** A real agent that is killed again and again, and clients that post to it all the while. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { encode } from "cbor-x";
import type { LedgerView } from "../../src/edge-ops/ledger.ts";
import { startAgentProcess } from "../support/agent-process.ts";
import { freePorts } from "../support/ports.ts";

const clients = 4;
const bodiesPerClient = 120;
const messagesPerBody = 50;
const kills = 4;

type Answer = {
  readonly messages: number;
  readonly decoded: number;
  readonly deadLettered: number;
  readonly unwanted: number;
  readonly unwantedTopics?: readonly string[];
  readonly repeated: boolean;
};

/** In turn NDJSON, JSON and CBOR; one message of each body is no reading, and one nobody wants. */
function bodyOf(
  client: number,
  number: number,
): { readonly type: string; readonly body: Uint8Array } {
  const some = Array.from({ length: messagesPerBody }, (_, n) => {
    if (n === 7) return { topic: "elsewhere", payload: { n } };
    const payload = n === 9 ? [number] : { n: number * messagesPerBody + n, on: n % 2 === 0 };
    return { topic: `plant/p${client}`, payload };
  });
  if (number % 3 === 1) {
    return { type: "application/json", body: Buffer.from(JSON.stringify(some)) };
  }
  if (number % 3 === 2) return { type: "application/cbor", body: encode(some) };
  const lines = some.map((one) => JSON.stringify(one)).join("\n");
  return { type: "application/x-ndjson", body: Buffer.from(lines) };
}

/** Sends it until it is answered; how often that took more than once, and what was answered. */
async function post(url: string, client: number, number: number): Promise<Answer> {
  const { type, body } = bodyOf(client, number);
  const headers = {
    "Content-Type": type,
    "Idempotency-Key": `c${client}-${number}`,
    "X-Weir": "1",
  };
  // One client loses patience before the answer can be there, each time.
  let patienceMs = client === 0 ? 10 : 60_000;
  for (;;) {
    try {
      const signal = AbortSignal.timeout(patienceMs);
      patienceMs = 60_000;
      const sent = { method: "POST", headers, body: new Uint8Array(body), signal };
      const response = await fetch(url, sent);
      const text = await response.text();
      if (response.status === 200) return JSON.parse(text);
      assert.equal(response.status, 503, text);
    } catch (error) {
      // The agent is gone, or the client: whether it took the body is what nobody knows.
      if (error instanceof assert.AssertionError) throw error;
    }
    await wait(20);
  }
}

test("bodies that are posted under keys are taken once each, whatever is killed when", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-post-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const [mqtt = 0, http = 0] = await freePorts(2);
  const config = join(folder, "weir.yaml");
  const text = `version: 1
agent: gw1
data: ./data
mqtt: { port: ${mqtt} }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{device}"] }]
commit: { wait: 20ms, interval: 100ms }
`;
  writeFileSync(config, text);
  const base = `http://127.0.0.1:${http}`;
  let agent = await startAgentProcess(["run", "-c", config]);
  t.after(() => agent.kill("SIGKILL"));
  const answers: Answer[] = [];
  const posting = Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let number = 0; number < bodiesPerClient; number++) {
        answers.push(await post(`${base}/v1/readings`, client, number));
      }
    }),
  );
  for (let killed = 0; killed < kills; killed++) {
    const from = answers.length;
    while (answers.length < from + 60) await wait(5);
    await agent.kill("SIGKILL");
    agent = await startAgentProcess(["run", "-c", config]);
  }
  await posting;
  const counts = { messages: messagesPerBody, decoded: messagesPerBody - 2 };
  for (const { repeated: _, unwantedTopics, ...answer } of answers) {
    assert.equal(unwantedTopics?.length, 1);
    assert.deepEqual(answer, { ...counts, deadLettered: 1, unwanted: 1 });
  }
  // All of them once more, in another life.
  await agent.kill("SIGKILL");
  agent = await startAgentProcess(["run", "-c", config]);
  const again = await post(`${base}/v1/readings`, 0, 0);
  assert.equal(again.repeated, true);
  const ledger: LedgerView = JSON.parse(await (await fetch(`${base}/v1/ledger`)).text());
  const bodies = clients * bodiesPerClient;
  const decoded = bodies * (messagesPerBody - 2);
  assert.equal(ledger.balanced, true);
  assert.deepEqual(ledger.sources[0]?.messages, {
    received: decoded + bodies,
    decoded,
    deadLettered: bodies,
    shed: 0,
  });
  assert.equal(ledger.sources[0]?.readings.decoded, 2 * decoded);
  const repeated = answers.filter((answer) => answer.repeated).length;
  assert.ok(repeated > 0, "some were taken though nobody was answered");
  t.diagnostic(`${kills} kills; ${repeated} bodies came again and were known`);
  assert.equal(await agent.kill("SIGTERM"), 0);
});
