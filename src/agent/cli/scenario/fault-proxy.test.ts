import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { FaultProxy } from "./fault-proxy.ts";
import { fairWeather, type Weather } from "./weather.ts";

/** Answers what it is sent. */
async function echoBehindProxy(t: TestContext) {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const proxy = new FaultProxy({ seed: 1 });
  const port = await proxy.listen({ host: "127.0.0.1", port: address.port });
  t.after(async () => {
    await proxy.close();
    server.close();
  });
  return { proxy, port };
}

async function client(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => undefined);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Resolves with the bytes when so many came back. */
async function answerTo(socket: Socket, bytes: Buffer): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const take = (part: Buffer): void => {
    parts.push(part);
    length += part.length;
    if (length >= bytes.length) resolve(Buffer.concat(parts));
  };
  socket.on("data", take).once("close", () => reject(new Error("closed")));
  socket.write(bytes);
  return await promise.finally(() => socket.off("data", take));
}

const stormy = (weather: Partial<Weather>): Weather => ({ ...fairWeather, ...weather });

test("in fair weather everything passes, unchanged, both ways, and an end is passed on", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  const bytes = Buffer.alloc(1_000_000, "0123456789");
  assert.ok((await answerTo(socket, bytes)).equals(bytes));
  socket.end();
  await once(socket, "close");
  assert.deepEqual(proxy.counts, {
    connections: 1,
    cut: 0,
    bytesUp: bytes.length,
    bytesDown: bytes.length,
  });
});

test("a delay is there each way, and a bandwidth is not exceeded", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  proxy.weather = stormy({ delayMs: 50 });
  const begun = performance.now();
  await answerTo(socket, Buffer.from("ping"));
  assert.ok(performance.now() - begun >= 99);
  proxy.weather = stormy({ bandwidth: 50_000 });
  const slow = performance.now();
  const bytes = Buffer.alloc(20_000, "x");
  assert.ok((await answerTo(socket, bytes)).equals(bytes));
  assert.ok(performance.now() - slow >= 399, `${performance.now() - slow} ms`);
});

test("loss is a wait: everything arrives in order, and late", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  proxy.weather = stormy({ loss: 0.3 });
  const begun = performance.now();
  const bytes = Buffer.from(Array.from({ length: 14_480 }, (_, i) => i % 251));
  assert.ok((await answerTo(socket, bytes)).equals(bytes));
  assert.ok(performance.now() - begun >= 200, "one of twenty segments was lost, by this seed");
});

test("a cut closes what is open and what comes; afterwards connections pass", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  await answerTo(socket, Buffer.from("ping"));
  const closed = once(socket, "close");
  proxy.weather = stormy({ passage: "cut" });
  await closed;
  await once(connect(port, "127.0.0.1").resume(), "close");
  proxy.weather = fairWeather;
  assert.equal(String(await answerTo(await client(t, port), Buffer.from("pong"))), "pong");
  assert.equal(proxy.counts.cut, 2);
});

test("in a hang nothing is heard, of new connections neither; what was sent passes afterwards", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  await answerTo(socket, Buffer.from("ping"));
  proxy.weather = stormy({ passage: "hang" });
  const late = await client(t, port);
  let isHeard = false;
  const answers = [answerTo(socket, Buffer.from("old")), answerTo(late, Buffer.from("new"))];
  void Promise.race(answers).then(() => {
    isHeard = true;
  });
  await sleep(100);
  assert.equal(isHeard, false);
  proxy.weather = fairWeather;
  assert.deepEqual((await Promise.all(answers)).map(String), ["old", "new"]);
});

test("whoever sends too much waits: a hang holds no more than its bound", async (t) => {
  const { proxy, port } = await echoBehindProxy(t);
  const socket = await client(t, port);
  await answerTo(socket, Buffer.from("ping"));
  proxy.weather = stormy({ passage: "hang" });
  const bytes = Buffer.alloc(64_000_000, "x");
  const answer = answerTo(socket, bytes);
  await sleep(200);
  assert.ok(socket.writableLength > 0, "the sender has bytes that nobody takes");
  proxy.weather = fairWeather;
  assert.equal((await answer).length, bytes.length);
});
