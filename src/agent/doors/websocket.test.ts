import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { type End, startEnd } from "../../../test/support/net-pair.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { closeOf, until } from "../../../test/support/tls-rig.ts";
import type { NetListener, WebSocketListen } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { systemNet } from "./net.ts";
import { faultOf } from "../../../test/support/fault-of.ts";

type Open = {
  readonly clock: SimulatedClock;
  readonly listener: NetListener;
  /** Every socket that was given out. */
  readonly accepted: End[];
};

async function open(t: TestContext, options: Partial<WebSocketListen> = {}): Promise<Open> {
  const clock = new SimulatedClock(Date.now());
  const accepted: End[] = [];
  const webSocket = { path: "/mqtt", ...options };
  const address = { host: "127.0.0.1", port: 0, webSocket };
  const listener = await systemNet(clock).listen(address, (socket) => {
    accepted.push(startEnd(socket));
  });
  t.after(async () => {
    for (const { socket } of accepted) socket.destroy();
    await listener.close();
  });
  return { clock, listener, accepted };
}

/** A client that is not ours: open, or the HTTP status it got instead. */
async function join(
  { listener }: Open,
  options: {
    readonly path?: string;
    readonly protocols?: readonly string[];
    readonly origin?: string;
    readonly host?: string;
  } = {},
): Promise<WebSocket | number> {
  const { path = "/mqtt", protocols = ["mqtt"], origin, host } = options;
  const client = new WebSocket(`ws://127.0.0.1:${listener.port}${path}`, [...protocols], {
    ...(origin === undefined ? {} : { origin }),
    ...(host === undefined ? {} : { headers: { Host: host } }),
  });
  return await new Promise((resolve, reject) => {
    client.once("open", () => resolve(client));
    client.once("unexpected-response", (request, response) => {
      resolve(response.statusCode ?? 0);
      request.destroy();
    });
    client.on("error", reject);
  });
}

async function joined(rig: Open, options: Parameters<typeof join>[1] = {}): Promise<WebSocket> {
  const client = await join(rig, options);
  assert.ok(client instanceof WebSocket, "the upgrade was refused");
  return client;
}

async function statusOf(rig: Open, options: Parameters<typeof join>[1]): Promise<number> {
  const status = await join(rig, options);
  if (typeof status === "number") return status;
  status.terminate();
  return 101;
}

test("bytes are one stream, however messages cut them, and nothing is compressed", async (t) => {
  const rig = await open(t);
  const client = await joined(rig, { protocols: ["other", "mqtt"] });
  assert.equal(client.protocol, "mqtt");
  assert.equal(client.extensions, "");
  client.send(Buffer.from("ab"));
  client.send(Buffer.from("c"), { fin: false });
  client.send(Buffer.from(""), { fin: false });
  client.send(Buffer.from("d"), { fin: true });
  const [own] = rig.accepted;
  assert.ok(own !== undefined);
  await own.arrived(4);
  assert.equal(own.received(), "abcd");
  own.socket.write(Buffer.from("hello"));
  const [message, isBinary] = (await once(client, "message")) as [Buffer, boolean];
  assert.deepEqual([message.toString(), isBinary], ["hello", true]);
  client.close();
  assert.equal(await own.closed, "");
});

test("what comes with the request of the upgrade is not lost", async (t) => {
  const rig = await open(t);
  const request = [
    "GET /mqtt?x=1 HTTP/1.1",
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: mqttv3.1",
    "",
    "",
  ].join("\r\n");
  const masked = Buffer.from([0x82, 0x82, 0, 0, 0, 0, 0x68, 0x69]); // "hi", masked with zeros
  const client = connect(rig.listener.port, "127.0.0.1");
  client.write(Buffer.concat([Buffer.from(request), masked]));
  await until(() => rig.accepted.length === 1);
  await rig.accepted[0]!.arrived(2);
  assert.equal(rig.accepted[0]!.received(), "hi");
  client.destroy();
});

test("what comes with the answer of the upgrade is not lost", async (t) => {
  const server = createServer((socket) => {
    socket.once("data", (request) => {
      const key = /Sec-WebSocket-Key: (\S+)/i.exec(request.toString())?.[1] ?? "";
      const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455, 1.3
      const accept = createHash("sha1").update(`${key}${guid}`).digest("base64");
      const head = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
        `Sec-WebSocket-Accept: ${accept}`,
        "Sec-WebSocket-Protocol: mqtt",
        "",
        "",
      ].join("\r\n");
      socket.write(Buffer.concat([Buffer.from(head), Buffer.from([0x82, 2, 0x68, 0x69])]));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const at = { host: "127.0.0.1", port: address.port, webSocket: { path: "/mqtt" } };
  const end = startEnd(await systemNet().connect(at, { waitMs: 5_000 }));
  await end.arrived(2);
  assert.equal(end.received(), "hi");
  end.socket.destroy();
});

test("only the path that is configured, and only MQTT, is upgraded", async (t) => {
  const rig = await open(t);
  assert.equal(await statusOf(rig, { path: "/" }), 404);
  assert.match(rig.listener.handshakes?.lastRefusal ?? "", /another path than \/mqtt/);
  assert.equal(await statusOf(rig, { path: "/mqtt/" }), 404);
  assert.equal(await statusOf(rig, { protocols: ["chat"] }), 400);
  assert.match(rig.listener.handshakes?.lastRefusal ?? "", /no subprotocol mqtt/);
  assert.equal(await statusOf(rig, { protocols: [] }), 400);
  assert.equal((await fetch(`http://127.0.0.1:${rig.listener.port}/mqtt`)).status, 426);
  assert.equal(rig.listener.handshakes?.refused, 5);
  assert.equal(rig.accepted.length, 0);
});

test("a page of another site cannot connect, nor one that took over this host's name", async (t) => {
  const rig = await open(t, { allowedOrigins: ["https://plant.example"] });
  const { port } = rig.listener;
  const statuses = async (cases: readonly (readonly [string, string?])[]): Promise<number[]> => {
    const all: number[] = [];
    for (const [origin, host = `127.0.0.1:${port}`] of cases) {
      all.push(await statusOf(rig, { origin, host }));
    }
    return all;
  };
  assert.deepEqual(
    await statuses([
      ["http://127.0.0.1:8080"],
      [`http://127.0.0.1:${port}`],
      ["http://localhost:8080", "localhost:8084"],
      ["http://[::1]:8080", "[::1]:8084"],
      ["https://plant.example"],
      ["https://plant.example", "gateway:8084"],
    ]),
    [101, 101, 101, 101, 101, 101],
  );
  assert.deepEqual(
    await statuses([
      ["https://evil.example"],
      ["http://plant.example"],
      ["https://plant.example:444"],
      ["https://plant.example.evil.example"],
      ["http://evil.example:8084", "evil.example:8084"], // DNS rebinding
      ["http://127.0.0.1.evil.example", "127.0.0.1"],
      ["http://10.0.0.1", "10.0.0.2"],
      ["null"],
      ["file://"],
    ]),
    Array.from({ length: 9 }, () => 403),
  );
  assert.match(rig.listener.handshakes?.lastRefusal ?? "", /page of "file:\/\/" is not allowed/);
});

test("text, and a message beyond its bound, close the connection and no other", async (t) => {
  const rig = await open(t);
  const other = await joined(rig);
  const talker = await joined(rig);
  const flooder = await joined(rig);
  talker.send("text");
  talker.send(Buffer.from("behind it"));
  const [talked] = (await once(talker, "close")) as [number];
  assert.equal(talked, 1_003);
  assert.match(await rig.accepted[1]!.closed, /text message/);
  assert.equal(rig.accepted[1]!.receivedBytes(), 0);
  flooder.send(Buffer.alloc(limits.webSocketMessageBytesMax + 1));
  const [flooded] = (await once(flooder, "close")) as [number];
  assert.equal(flooded, 1_009);
  assert.equal(await rig.accepted[2]!.closed, "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH");
  other.send(Buffer.alloc(limits.webSocketMessageBytesMax));
  await rig.accepted[0]!.arrived(limits.webSocketMessageBytesMax);
  other.terminate();
});

test("a connection that breaks says so", async (t) => {
  const rig = await open(t);
  const client = await joined(rig);
  client.terminate();
  assert.equal(await rig.accepted[0]!.closed, "WebSocket closed with 1006");
});

test("there are so many WebSockets and no more", async (t) => {
  const rig = await open(t);
  const clients: WebSocket[] = [];
  for (let i = 0; i < limits.webSocketsMax; i++) clients.push(await joined(rig));
  assert.equal(await statusOf(rig, {}), 503);
  clients.pop()!.close();
  await rig.accepted.at(-1)!.closed;
  assert.equal(await statusOf(rig, {}), 101);
  for (const client of clients) client.terminate();
});

test("who speaks no HTTP, or too much of it, is refused; who is slow is not waited for", async (t) => {
  const rig = await open(t);
  const say = (words: Buffer | string): Socket => {
    const client = connect(rig.listener.port, "127.0.0.1");
    client.on("error", () => undefined);
    client.write(words);
    return client;
  };
  await closeOf(say(Buffer.from([0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0])));
  assert.match(rig.listener.handshakes?.lastRefusal ?? "", /spoke no HTTP/);
  await closeOf(say(`GET /mqtt HTTP/1.1\r\nX: ${"a".repeat(limits.httpHeaderBytesMax)}\r\n\r\n`));
  assert.equal(rig.listener.handshakes?.refused, 2);
  const slow = say("GET /mqtt HTTP/1.1\r\nHost: x\r\n");
  await until(() => rig.listener.handshakes?.underWay === 1);
  await rig.clock.pass(limits.handshakeWaitMs);
  await closeOf(slow);
  assert.equal(rig.listener.handshakes?.timedOut, 1);
});

test("a server that upgrades to nothing of ours is understood", async () => {
  const http = createHttpServer((_request, response) => response.writeHead(404).end());
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address();
  assert.ok(address !== null && typeof address === "object");
  const at = { host: "127.0.0.1", port: address.port, webSocket: { path: "/mqtt" } };
  const lost = await faultOf(systemNet().connect(at, { waitMs: 5_000 }));
  assert.match(lost.message, /it answered 404 to a WebSocket at \/mqtt: is the path right/);
  const silent = new WebSocketServer({ server: http, handleProtocols: () => false });
  const deaf = await faultOf(systemNet().connect(at, { waitMs: 5_000 }));
  assert.match(deaf.message, /Server sent no subprotocol/);
  silent.close();
  http.close();
  http.closeAllConnections();
});
