/** The client beside a server that holds streams open, and closes them as an agent does. */

import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { AgentClient, urlOf } from "./agent-client.ts";
import { EventParser, type ServerEvent } from "./event-parser.ts";
import { flowLimits } from "../../../src/core/flow-limits.ts";

async function serve(
  t: TestContext,
  answer: (path: string, response: ServerResponse) => void,
): Promise<AgentClient> {
  const server = createServer((request, response) => answer(request.url ?? "", response));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = urlOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  return new AgentClient({ url, token: "secret", tls: {} });
}

test("streams take no connection from requests, however many are open", async (t) => {
  const client = await serve(t, (path, response) => {
    if (path.startsWith("/v1/stream")) response.write("retry: 1\n");
    else response.end("{}");
  });
  const closing = new AbortController();
  const count = 2 * flowLimits.agentConnectionsMax;
  const streams = Array.from({ length: count }, () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const handlers = { signal: closing.signal, onBegin: resolve, onText: () => undefined };
    const ended = client.stream({ path: "/v1/stream" }, handlers).catch(() => undefined);
    return { begun: promise, ended };
  });
  for (const { begun } of streams) await begun;
  assert.deepEqual(await client.json({ path: "/v1/status" }), {});
  closing.abort();
  for (const { ended } of streams) await ended;
  client.close();
});

test("a kept connection that was closed just as it is used again is no trouble", async (t) => {
  let asked = 0;
  const client = await serve(t, (_, response) => {
    asked += 1;
    // The second request comes on the connection of the first.
    if (asked === 2) response.socket?.resetAndDestroy();
    else response.end("{}");
  });
  assert.deepEqual(await client.json({ path: "/v1/status" }), {});
  assert.deepEqual(await client.json({ path: "/v1/status" }), {});
  assert.equal(asked, 3);
});

test("an agent that is busy for a moment is asked again, one that is not well is not", async (t) => {
  let asked = 0;
  const client = await serve(t, (path, response) => {
    asked += 1;
    if (path === "/ill") response.writeHead(503, { "Retry-After": "60" }).end("{}");
    else if (asked === 1) response.writeHead(503, { "Retry-After": "0" }).end("{}");
    else response.end('{"x":1}');
  });
  assert.deepEqual(await client.json({ path: "/busy" }), { x: 1 });
  assert.equal(asked, 2);
  await assert.rejects(client.json({ path: "/ill" }), /refuses \(503\)/);
  assert.equal(asked, 3);
});

test("what is wrong with an event is not told as the agent being away", async (t) => {
  const client = await serve(t, (_, response) => void response.end("data: x\n\n"));
  const streaming = client.stream(
    { path: "/v1/stream" },
    {
      signal: AbortSignal.timeout(5_000),
      onBegin: () => undefined,
      onText: () => {
        throw new Error("it is no record");
      },
    },
  );
  await assert.rejects(streaming, { name: "Error", message: "it is no record" });
});

test("addresses are read as people write them, and those with a password are refused", () => {
  assert.equal(urlOf("10.0.0.5:8080").href, "http://10.0.0.5:8080/");
  assert.equal(urlOf("https://gw.example:8443/some/page").href, "https://gw.example:8443/");
  for (const [address, message] of [
    ["ftp://gw", /is no address of an agent/],
    ["http://", /is no address of an agent/],
    ["http://me:pw@gw", /put the token in its own field/],
  ] as const) {
    assert.throws(() => urlOf(address), { message });
  }
});

test("events come whole from any pieces, an id alone moves the place, and none is longer than the bound", () => {
  const text = 'retry: 9\nid: a.1\nevent: summary\ndata: {"x":1}\n\n: still here\nid: a.2\n\n';
  for (let cut = 0; cut <= text.length; cut++) {
    const events: ServerEvent[] = [];
    const parser = new EventParser((event) => void events.push(event));
    parser.take(text.slice(0, cut));
    parser.take(text.slice(cut));
    assert.deepEqual(events, [{ event: "summary", data: '{"x":1}' }]);
    assert.equal(parser.lastId, "a.2");
  }
  const parser = new EventParser(() => undefined);
  const line = `data: ${"x".repeat(1_000)}\n`;
  assert.throws(() => {
    for (let at = 0; at * line.length < 2 * flowLimits.eventLengthMax; at++) parser.take(line);
  }, /an event has more than/);
});
