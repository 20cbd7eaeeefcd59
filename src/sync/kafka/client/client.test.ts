/**
 * The client against peers that do not behave like Kafka, over real sockets. What it does with Kafka
 * itself: test/broker/cluster-contract.test.ts and test/broker/cluster-login.test.ts.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { Fault } from "../../../core/faults.ts";
import { type ClusterOptions, connectCluster } from "./client.ts";
import type { Cluster } from "../cluster.ts";
import { loadCodecs, loadProtocol } from "./protocol.ts";
import { requests } from "./requests.ts";

test("a peer that never answers is given up after the request timeout", async (t) => {
  const address = await peer(t, () => undefined);
  const fault = await refused({ bootstrap: [address], requestTimeoutMs: 50 });
  assert.equal(fault.code, "UPLINK_UNREACHABLE");
  assert.equal(fault.message, `broker ${address}: no answer within 50 ms`);
});

test("a request without an answer fails after the request timeout, and so does the session", async (t) => {
  const cluster = await connected(t, { requestTimeoutMs: 50 }, (request) =>
    request.key === requests.FindCoordinator.key ? undefined : answerOf(request),
  );
  const fault = await rejected(cluster.committedOffsets("g"));
  assert.equal(fault.code, "UPLINK_UNREACHABLE");
  assert.match(fault.message, /FindCoordinator for group g: no answer within 50 ms$/);
  assert.equal((await rejected(cluster.partitionsOf([]))).code, "UPLINK_UNREACHABLE");
});

test("closing rejects what is under way", async (t) => {
  const cluster = await connected(t, {}, (request) =>
    request.key === requests.FindCoordinator.key ? undefined : answerOf(request),
  );
  const asked = rejected(cluster.committedOffsets("g"));
  await cluster.close();
  assert.match((await asked).message, /the connection was lost$/);
});

test("a peer that hangs up at once may want TLS or a login", async (t) => {
  const address = await peer(t, (socket) => socket.end());
  const fault = await refused({ bootstrap: [address] });
  assert.match(fault.message, /this port wants TLS \(tls\) or a login \(sasl\)$/);
});

test("a peer that answers in TLS wants TLS", async (t) => {
  const alert = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28]);
  const address = await peer(t, (socket) => socket.once("data", () => socket.end(alert)));
  const fault = await refused({ bootstrap: [address] });
  assert.equal(fault.code, "UPLINK_LOGIN_REFUSED");
  assert.match(fault.message, /wants TLS: set tls/);
});

test("a peer that is no Kafka broker is a fault, not a crash", async (t) => {
  for (const nonsense of [
    "HTTP/1.1 400 Bad Request\r\n\r\n",
    "\0\0\0\x04\x7f\x7f\x7f\x7f",
    "\0".repeat(64),
  ]) {
    const address = await peer(t, (socket) => socket.once("data", () => socket.end(nonsense)));
    const fault = await refused({ bootstrap: [address], requestTimeoutMs: 200 });
    assert.equal(fault.code, "UPLINK_UNREACHABLE", JSON.stringify(nonsense));
  }
});

test("a SCRAM answer that makes no sense is a refused login, not a crash", async (t) => {
  const sasl = { mechanism: "SCRAM-SHA-256", username: "alice", password: "secret" } as const;
  const address = await broker(t, (request) => {
    if (request.key === 17) return Buffer.from("\0\0\0\0\0\x01\0\x0dSCRAM-SHA-256", "latin1");
    if (request.key !== 36) return answerOf(request);
    // SaslAuthenticate v2: no error, no message, bytes "x", no end of the session, no tags.
    return Buffer.from([0, 0, 0, 0, 2, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });
  const fault = await refused({ bootstrap: [address], sasl });
  assert.equal(fault.code, "UPLINK_LOGIN_REFUSED");
  assert.match(fault.message, /SCRAM answer makes no sense/);
  assert.doesNotMatch(fault.message, /secret/);
});

test("a broker too old for a request says so when it is needed", async (t) => {
  const old = { ...ownVersions(), [requests.FindCoordinator.key]: [0, 2] as const };
  const cluster = await connected(t, {}, (request) =>
    request.key === apiVersions ? versionsAnswer(old) : answerOf(request),
  );
  const fault = await rejected(cluster.committedOffsets("g"));
  assert.equal(fault.code, "UPLINK_REFUSED");
  assert.match(fault.message, /supports FindCoordinator up to v2; weir needs Kafka 2\.5 or newer$/);
});

test("brokers are tried in order, and each failure is told", async (t) => {
  const address = await broker(t, answerOf);
  const cluster = await connectCluster({ ...patience, bootstrap: ["127.0.0.1:1", address] });
  await cluster.close();
  const fault = await refused({ bootstrap: ["127.0.0.1:1", "nonsense"] });
  assert.match(fault.message, /127\.0\.0\.1:1: nothing listens there.*; .*nonsense.*host:port$/);
});

test("an unusable certificate of our own is a refused login", async (t) => {
  const address = await peer(t, () => undefined);
  const fault = await refused({
    bootstrap: [address],
    tls: { ca: Buffer.from("no PEM"), cert: Buffer.from("x") },
  });
  assert.equal(fault.code, "UPLINK_LOGIN_REFUSED");
  assert.match(fault.message, /tls\.ca, tls\.certificate or tls\.key cannot be used/);
});

test("traffic is counted, also of connections that are closed", async (t) => {
  const cluster = await connected(t, {}, answerOf);
  const { sent, received } = cluster.traffic;
  assert.ok(sent > 0 && received > 0);
  await cluster.close();
  assert.deepEqual(cluster.traffic, { sent, received });
});

test("Snappy and LZ4 come with the client", async () => {
  const codecs = await loadCodecs();
  const { compressionsAlgorithms } = await loadProtocol();
  const bytes = new TextEncoder().encode("weir ".repeat(100));
  for (const name of ["snappy", "lz4"] as const) {
    const { attribute, compress } = codecs[name];
    assert.equal(attribute, compressionsAlgorithms[name].bitmask);
    const packed = compress(bytes);
    assert.ok(packed.length < bytes.length);
    const whole = compressionsAlgorithms[name].decompressSync(Buffer.from(packed));
    assert.deepEqual(new Uint8Array(whole), bytes);
  }
});

// ---- peers ----

const patience = { clientId: "test", requestTimeoutMs: 2_000, connectTimeoutMs: 2_000 };

const apiVersions = 18;

type Request = { readonly key: number; readonly correlation: number };

/** Says what the body of the answer is; undefined for none. */
type Answers = (request: Request) => Uint8Array | undefined;

/** The address of a server that does this with each connection. */
async function peer(t: TestContext, meet: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    meet(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return `127.0.0.1:${address.port}`;
}

async function broker(t: TestContext, answers: Answers): Promise<string> {
  return await peer(t, (socket) => {
    let left: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      left = Buffer.concat([left, chunk]);
      while (left.length >= 4 && left.length >= 4 + left.readInt32BE(0)) {
        const request = { key: left.readInt16BE(4), correlation: left.readInt32BE(8) };
        const flexible = left.readInt16BE(6) >= 2 && request.key !== 17;
        left = left.subarray(4 + left.readInt32BE(0));
        const body = answers(request);
        if (body !== undefined) socket.write(framed(request, body, flexible));
      }
    });
  });
}

async function connected(
  t: TestContext,
  options: Partial<ClusterOptions>,
  answers: Answers,
): Promise<Cluster> {
  const bootstrap = [await broker(t, answers)];
  const cluster = await connectCluster({ ...patience, bootstrap, ...options });
  t.after(async () => await cluster.close());
  return cluster;
}

/** A broker of no cluster to speak of, which knows our versions. */
function answerOf({ key }: Request): Uint8Array | undefined {
  if (key === apiVersions) return versionsAnswer(ownVersions());
  // Metadata v9: throttle, no brokers, cluster id "c", controller, no topics, rights, no tags.
  return key === requests.Metadata.key
    ? Buffer.from([0, 0, 0, 0, 1, 2, 0x63, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0])
    : undefined;
}

function framed({ correlation }: Request, body: Uint8Array, flexible: boolean): Buffer {
  const head = Buffer.alloc(flexible ? 9 : 8);
  head.writeInt32BE(head.length - 4 + body.length, 0);
  head.writeInt32BE(correlation, 4);
  return Buffer.concat([head, body]);
}

type Ranges = Readonly<Record<number, readonly [min: number, max: number]>>;

function ownVersions(): Ranges {
  const all = Object.values(requests).map(({ key, version }) => [key, [0, version]] as const);
  return { ...Object.fromEntries(all), 36: [0, 2] };
}

function versionsAnswer(ranges: Ranges): Uint8Array {
  const entries = Object.entries(ranges);
  const answer = Buffer.alloc(2 + 4 + 6 * entries.length + 4);
  answer.writeInt32BE(entries.length, 2);
  entries.forEach(([key, [min, max]], i) => {
    answer.writeInt16BE(Number(key), 6 + 6 * i);
    answer.writeInt16BE(min, 8 + 6 * i);
    answer.writeInt16BE(max, 10 + 6 * i);
  });
  return answer;
}

async function refused(
  options: Partial<ClusterOptions> & Pick<ClusterOptions, "bootstrap">,
): Promise<Fault> {
  return await rejected(connectCluster({ ...patience, ...options }));
}

async function rejected(asked: Promise<unknown>): Promise<Fault> {
  const failure = await asked.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, String(failure));
  return failure;
}
