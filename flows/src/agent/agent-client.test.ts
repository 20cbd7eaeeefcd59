/** The client beside a server that holds streams open, and closes them as an agent does. */

import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type ClientRequest, createServer, type ServerResponse } from "node:http";
import { createServer as createHttps } from "node:https";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { AgentClient, urlOf } from "./agent-client.ts";
import { EventParser, type ServerEvent } from "./event-parser.ts";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { issue, makeAuthority } from "../../../test/support/certificates.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import { portOf } from "../../test/listening.ts";

const eventStream = { "Content-Type": "text/event-stream" };

async function serve(
  t: TestContext,
  answer: (path: string, response: ServerResponse) => void,
): Promise<AgentClient> {
  const server = createServer((request, response) => answer(request.url ?? "", response));
  const url = urlOf(`127.0.0.1:${await portOf(t, server)}`);
  return new AgentClient({ url, token: "secret", tls: {} });
}

test("streams take no connection from requests, however many are open", async (t) => {
  const client = await serve(t, (path, response) => {
    if (path.startsWith("/v1/stream")) response.writeHead(200, eventStream).write("retry: 1\n");
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

test("nor is one that a request had waited for", async (t) => {
  let asked = 0;
  const client = await serve(t, (path, response) => {
    if (path === "/waiting") asked += 1;
    if (path === "/waiting" && asked === 1) response.socket?.resetAndDestroy();
    else response.end("{}");
  });
  const others = Array.from({ length: flowLimits.agentConnectionsMax }, () => "/v1/status");
  const asking = [...others, "/waiting"].map((path) => client.json({ path }));
  for (const answer of await Promise.all(asking)) assert.deepEqual(answer, {});
  assert.equal(asked, 2);
});

/** Sockets of all requests of this process; a socket that is used again is there once. */
function socketsOf(t: TestContext): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const watch = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest };
    request.once("socket", (socket) => sockets.add(socket));
  };
  subscribe("http.client.request.created", watch);
  t.after(() => unsubscribe("http.client.request.created", watch));
  return sockets;
}

/** More requests at once than there are connections, each with a body. */
async function crowd(t: TestContext, client: AgentClient): Promise<void> {
  const sockets = socketsOf(t);
  const count = 5 * flowLimits.agentConnectionsMax;
  let sent = 0;
  const onSent = (): void => void (sent += 1);
  const asked = { method: "POST", path: "/v1/readings", body: "{}", onSent } as const;
  await Promise.all(Array.from({ length: count }, () => client.request(asked)));
  client.close();
  assert.equal(sent, count);
  assert.equal(sockets.size, flowLimits.agentConnectionsMax);
  for (const socket of sockets) {
    for (const event of ["connect", "secureConnect"]) assert.equal(socket.listenerCount(event), 0);
  }
}

test("requests that waited for a connection are told as sent, and leave nothing behind on it", async (t) => {
  await crowd(t, await serve(t, (_, response) => void response.end("{}")));
});

test("so are those by TLS", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const folder = mkdtempSync(join(tmpdir(), "weir-client-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const authority = makeAuthority(folder);
  const { key, certificate } = issue(authority, { name: "gw", names: ["IP:127.0.0.1"] });
  const identity = { key: readFileSync(key), cert: readFileSync(certificate) };
  const port = await portOf(
    t,
    createHttps(identity, (_, response) => void response.end("{}")),
  );
  const tls = { ca: readFileSync(authority.certificate) };
  await crowd(
    t,
    new AgentClient({ url: urlOf(`https://127.0.0.1:${port}`), token: "secret", tls }),
  );
});

test("what is no TLS was sent nothing", async (t) => {
  const port = await portOf(t, createServer());
  const client = new AgentClient({
    url: urlOf(`https://127.0.0.1:${port}`),
    token: "secret",
    tls: {},
  });
  const onSent = (): void => assert.fail("it was sent");
  await assert.rejects(client.request({ path: "/v1/status", onSent }), /it speaks no TLS/);
});

test("an agent that is busy for a moment is asked again, one that is not well is not", async (t) => {
  let asked = 0;
  const client = await serve(t, (path, response) => {
    asked += 1;
    if (path === "/ill") response.writeHead(503, { "Retry-After": "60" }).end('{"message":"ill"}');
    else if (asked === 1) response.writeHead(503, { "Retry-After": "0" }).end("{}");
    else response.end('{"x":1}');
  });
  assert.deepEqual(await client.json({ path: "/busy" }), { x: 1 });
  assert.equal(asked, 2);
  await assert.rejects(client.json({ path: "/ill" }), {
    name: "AgentBusy",
    message: /is busy \(503\): ill/,
  });
  assert.equal(asked, 3);
});

test("what is wrong with an event is not told as the agent being away", async (t) => {
  const client = await serve(t, (_, response) => {
    response.writeHead(200, eventStream).end("data: x\n\n");
  });
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

test("what answers as no agent does is told of, with where to look", async (t) => {
  const client = await serve(t, (path, response) => {
    if (path === "/cut") response.end('{"buckets":[');
    else if (path === "/page") response.end("<html>Log in</html>");
    else response.writeHead(502).end("<html>Bad Gateway</html>");
  });
  const asking = (path: string): Promise<unknown> => client.json({ path });
  const streaming = (path: string): Promise<void> =>
    client.stream(
      { path },
      {
        signal: AbortSignal.timeout(5_000),
        onBegin: () => assert.fail("it is no stream"),
        onText: () => undefined,
      },
    );
  for (const [answer, status] of [
    [asking("/cut"), 200],
    [asking("/page"), 200],
    [asking("/other"), 502],
    [streaming("/page"), 200],
    [streaming("/other"), 502],
  ] as const) {
    const says = `what answers there (${status}) is no agent; is it a proxy, a login page, or another program? open http://${client.name} in a browser`;
    await assert.rejects(answer, {
      name: "AgentAway",
      message: `the agent at ${client.name} is away: ${says}`,
    });
  }
});

test("an answer that is too long is the question's fault, not the agent's being away", async (t) => {
  const client = await serve(t, (_, response) => {
    response.end("x".repeat(flowLimits.answerBytesMax + 1));
  });
  await assert.rejects(client.json({ path: "/v1/query" }), {
    name: "Error",
    message: `the agent at ${client.name}: its answer has more than ${flowLimits.answerBytesMax} bytes: ask for less`,
  });
});

test("addresses are read as people write them, and what would be lost of them is refused", () => {
  assert.equal(urlOf("10.0.0.5:8080").href, "http://10.0.0.5:8080/");
  assert.equal(urlOf("https://gw.example:8443/").href, "https://gw.example:8443/");
  assert.equal(urlOf("http://gw:8080/#/").href, "http://gw:8080/", "as a browser shows it");
  for (const [address, message] of [
    ["ftp://gw", /is no address of an agent/],
    ["http://", /is no address of an agent/],
    ["http://me:pw@gw", /put the token in its own field/],
    ["https://gw/weir/", /has "\/weir\/" behind its port: write https:\/\/gw alone/],
    ["gw:8080/?token=x", /has "\?token=x" behind its port: write http:\/\/gw:8080 alone/],
    ["gw:8080/weir#top", /has "\/weir" behind its port/],
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
