import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { makeCertificates } from "../../../test/support/kafka/certificates.ts";
import { answerOf, broker, listening } from "../../../test/support/kafka/scripted-broker.ts";
import { connectOf, listenOf, removeTlsRig, tlsRigOf } from "../../../test/support/tls-rig.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import { limits } from "../../core/limits.ts";
import { connectMqtt } from "../../sync/mqtt/client/mqtt-js.ts";
import { Link } from "../../sync/link/link.ts";
import { linkOf } from "../config/link-config.ts";
import type { Wire } from "../../core/doors.ts";
import { systemClock } from "./clock.ts";
import { systemKafka } from "./kafka.ts";
import { systemNet } from "./net.ts";

type Seen = { toServer: number; toClient: number; readonly from: string[]; longest: number };

/** What stands between, and counts what is on the network. */
async function between(t: TestContext, to: string): Promise<{ address: string; seen: Seen }> {
  const seen: Seen = { toServer: 0, toClient: 0, from: [], longest: 0 };
  const sockets: Socket[] = [];
  const server = createServer((client) => {
    seen.from.push(client.remoteAddress ?? "");
    const [host = "", port = ""] = to.split(":");
    const far = connect(Number(port), host);
    sockets.push(client, far);
    for (const [one, other] of [
      [client, far],
      [far, client],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
    client.on("data", (bytes: Buffer) => {
      seen.toServer += bytes.length;
      far.write(bytes);
    });
    far.on("data", (bytes: Buffer) => {
      seen.toClient += bytes.length;
      client.write(bytes);
    });
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${await listening(server)}`, seen };
}

function linkFor(policy: Parameters<typeof linkOf>[0]): { link: Link; wire: Wire } {
  const link = new Link({
    policy: linkOf(policy),
    clock: systemClock(),
    trustedNow: () => undefined,
    get: () => undefined,
    store: () => Promise.resolve(),
  });
  return { link, wire: link.wire("summaries") };
}

const quota = { bytes: 10_000_000, per: "day", reserveBytes: 0 } as const;
const timeouts = { connectTimeoutMs: 5_000, requestTimeoutMs: 5_000 };

test("what a Kafka client sends and receives counts, and it connects from the link's address", async (t) => {
  const { address, seen } = await between(t, await broker(t, answerOf));
  const { link, wire } = linkFor({ name: "lte", quota, localAddress: "127.0.0.5" });
  const cluster = await systemKafka(systemClock()).connect({
    bootstrap: [address],
    clientId: "test",
    ...timeouts,
    wire,
  });
  t.after(() => cluster.close());
  const { sentBytes, receivedBytes } = link.status;
  assert.deepEqual([sentBytes, receivedBytes], [seen.toServer, seen.toClient]);
  assert.deepEqual(seen.from, ["127.0.0.5"]);
  assert.deepEqual(cluster.traffic, { sent: sentBytes, received: receivedBytes });
  assert.ok(sentBytes > 0 && receivedBytes > 0);
});

test("with TLS counts what is on the network: the handshake, and what encryption adds", async (t) => {
  if (!requireTool(t, "openssl")) return;
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-wire-"));
  const { authority, server } = makeCertificates(folder.path);
  const plain = await broker(t, answerOf);
  const secured = createTlsServer(
    { key: readFileSync(server.key), cert: readFileSync(server.certificate) },
    (socket) => {
      const [host = "", port = ""] = plain.split(":");
      const far = connect(Number(port), host);
      socket.on("error", () => far.destroy());
      far.on("error", () => socket.destroy());
      socket.pipe(far).pipe(socket);
    },
  );
  t.after(() => secured.close());
  const { address, seen } = await between(t, `127.0.0.1:${await listening(secured)}`);
  const { link, wire } = linkFor({ name: "lte", quota, localAddress: "127.0.0.6" });
  const cluster = await systemKafka(systemClock()).connect({
    bootstrap: [address],
    clientId: "test",
    ...timeouts,
    tls: { ca: readFileSync(authority) },
    wire,
  });
  await cluster.partitionsOf([]);
  const { sentBytes, receivedBytes } = link.status;
  assert.deepEqual([sentBytes, receivedBytes], [seen.toServer, seen.toClient]);
  assert.deepEqual(cluster.traffic, { sent: sentBytes, received: receivedBytes });
  assert.deepEqual(seen.from, ["127.0.0.6"]);
  assert.ok(receivedBytes > 1_000, "a certificate came");
  await cluster.close();
});

test("what cannot be connected to is told as without a link", async () => {
  for (const tls of [undefined, {}]) {
    const { wire } = linkFor({ name: "lte", bandwidth: 100_000 });
    const connected = systemKafka(systemClock()).connect({
      bootstrap: ["127.0.0.1:1"],
      clientId: "test",
      ...timeouts,
      ...(tls === undefined ? {} : { tls }),
      wire,
    });
    await assert.rejects(connected, /127\.0\.0\.1:1: nothing listens there/);
  }
});

test("the Net door speaks TLS over a link, from its address, and what is on the network counts", async (t) => {
  const rig = tlsRigOf(t);
  if (rig === undefined) return;
  t.after(removeTlsRig);
  const net = systemNet();
  const heard: string[] = [];
  const listener = await net.listen(
    { host: "127.0.0.1", port: 0, tls: listenOf(rig) },
    (socket) => {
      heard.push(socket.remote.split(":")[0] ?? "");
      socket.start({
        onBytes: (bytes, length) => {
          heard.push(Buffer.from(bytes.subarray(0, length)).toString());
          socket.write(Buffer.from("and back"));
        },
        onDrain: () => undefined,
        onClose: () => undefined,
      });
    },
  );
  t.after(() => listener.close());
  const { address, seen } = await between(t, `127.0.0.1:${listener.port}`);
  const { link, wire } = linkFor({ name: "lte", quota, localAddress: "127.0.0.7" });
  const [host = "", port = ""] = address.split(":");
  const at = { host, port: Number(port), tls: connectOf(rig) };
  const socket = await net.connect(at, { waitMs: 5_000, wire });
  t.after(() => socket.destroy());
  const answer = Promise.withResolvers<string>();
  socket.start({
    onBytes: (bytes, length) => answer.resolve(Buffer.from(bytes.subarray(0, length)).toString()),
    onDrain: () => undefined,
    onClose: (why) => answer.reject(new Error(why)),
  });
  socket.write(Buffer.from("there"));
  assert.equal(await answer.promise, "and back");
  assert.ok(heard.includes("there"));
  assert.deepEqual(seen.from, ["127.0.0.7"]);
  const { sentBytes, receivedBytes } = link.status;
  assert.deepEqual([sentBytes, receivedBytes], [seen.toServer, seen.toClient]);
});

test("a bridge that meets a captive portal says so", async (t) => {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n"));
  });
  const port = await listening(server);
  t.after(() => server.close());
  const clock = systemClock();
  const connecting = connectMqtt(
    {
      url: `mqtt://127.0.0.1:${port}`,
      net: systemNet(),
      clock,
      address: { host: "127.0.0.1", port },
      level: 5,
      clientId: "gw",
      user: undefined,
      password: undefined,
      keepAliveMs: 60_000,
      connectMs: 5_000,
    },
    { will: undefined, onEnded: () => undefined },
  );
  await assert.rejects(connecting, /no MQTT broker but a web server: .*captive portal/);
});

test("a socket of the Net door sends at the bandwidth, and not a byte above it", async (t) => {
  const arrivals: { readonly atMs: number; readonly bytes: number }[] = [];
  const clock = systemClock();
  const server = createServer((socket) => {
    socket.on("data", (bytes: Buffer) => {
      arrivals.push({ atMs: clock.monotonic(), bytes: bytes.length });
    });
    socket.on("error", () => undefined);
  });
  const port = await listening(server);
  t.after(() => server.close());
  const bandwidth = 400_000;
  const { link, wire } = linkFor({ name: "lte", bandwidth });
  const socket = await systemNet().connect({ host: "127.0.0.1", port }, { waitMs: 1_000, wire });
  socket.start({ onBytes: () => undefined, onDrain: () => undefined, onClose: () => undefined });
  t.after(() => socket.destroy());
  const startedAt = clock.monotonic();
  socket.write(new Uint8Array(800_000));
  while (arrivals.reduce((sum, { bytes }) => sum + bytes, 0) < 800_000) {
    await once(server, "connection", { signal: AbortSignal.timeout(50) }).catch(() => undefined);
  }
  const tookMs = arrivals.at(-1)!.atMs - startedAt;
  const burst = (bandwidth * limits.linkBurstMs) / 1_000;
  assert.ok(tookMs >= ((800_000 - burst) / bandwidth) * 1_000, `${tookMs} ms are too few`);
  assert.ok(tookMs <= (800_000 / bandwidth) * 1_000 * 1.1 + 200, `${tookMs} ms are too many`);
  for (const { atMs: from } of arrivals) {
    const within = arrivals.filter(({ atMs }) => atMs >= from && atMs < from + 1_000);
    const sum = within.reduce((total, { bytes }) => total + bytes, 0);
    // A reader that was late finds several pieces at once.
    assert.ok(sum <= bandwidth + burst + 4 * wire.pieceBytesMax, `${sum} in a second`);
  }
  assert.equal(link.status.sentBytes, 800_000);
});
