/**
 * The client against peers that do not behave like Kafka, over real sockets. What it does with Kafka
 * itself: test/broker/cluster-contract.test.ts and test/broker/cluster-login.test.ts.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { makeCertificates } from "../../../../test/support/kafka/certificates.ts";
import {
  type Answers,
  answerOf,
  apiVersions,
  broker,
  listening,
  ownVersions,
  peer,
  saslAuthenticate,
  saslHandshake,
  versionsAnswer,
} from "../../../../test/support/kafka/scripted-broker.ts";
import { requireTool } from "../../../../test/support/require-tool.ts";
import type { Fault } from "../../../core/faults.ts";
import { type ClusterOptions, connectCluster } from "./client.ts";
import type { Cluster } from "../cluster.ts";
import { loadCodecs, loadProtocol } from "./protocol.ts";
import { requests } from "./requests.ts";
import { faultOf } from "../../../../test/support/fault-of.ts";

test("a peer that never answers is given up after the request timeout", async (t) => {
  const address = await peer(t, () => undefined);
  const fault = await refused({ bootstrap: [address], requestTimeoutMs: 50 });
  assert.equal(fault.code, "UPLINK_UNREACHABLE");
  assert.equal(fault.message, `broker ${address}: no answer within 50 ms`);
});

test("a broker with another address is reached there, and a fault names both", async (t) => {
  const at = await broker(t, answerOf);
  const cluster = await connectCluster({
    ...patience,
    bootstrap: ["kafka-1.plant:9092"],
    addresses: { "kafka-1.plant:9092": at },
  });
  assert.equal(cluster.id, "c");
  await cluster.close();
  const silent = await peer(t, (socket) => socket.destroy());
  const fault = await refused({
    bootstrap: ["kafka-2.plant:9092"],
    addresses: { "kafka-1.plant:9092": at, "kafka-2.plant:9092": silent },
  });
  assert.match(fault.message, new RegExp(`^broker kafka-2.plant:9092 \\(at ${silent}\\): `));
});

test("a request without an answer fails after the request timeout, and so does the session", async (t) => {
  const cluster = await connected(t, { requestTimeoutMs: 50 }, (request) =>
    request.key === requests.FindCoordinator.key ? undefined : answerOf(request),
  );
  const fault = await faultOf(cluster.committedOffsets("g"));
  assert.equal(fault.code, "UPLINK_UNREACHABLE");
  assert.match(fault.message, /FindCoordinator for group g: no answer within 50 ms$/);
  assert.equal(fault.facts["waitedMs"], 50, "whoever sends less next time knows");
  assert.equal((await faultOf(cluster.partitionsOf([]))).code, "UPLINK_UNREACHABLE");
});

test("closing rejects what is under way", async (t) => {
  const cluster = await connected(t, {}, (request) =>
    request.key === requests.FindCoordinator.key ? undefined : answerOf(request),
  );
  const asked = faultOf(cluster.committedOffsets("g"));
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

test("a captive portal is told from a broker", async (t) => {
  for (const page of ["HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", "<!DOCTYPE html>"]) {
    const address = await peer(t, (socket) => socket.once("data", () => socket.end(page)));
    const fault = await refused({ bootstrap: [address], requestTimeoutMs: 200 });
    assert.equal(fault.code, "UPLINK_UNREACHABLE");
    assert.match(fault.message, /no Kafka broker but a web server: .*captive portal.*log in there/);
  }
});

test("a SCRAM answer that makes no sense is a refused login, not a crash", async (t) => {
  const sasl = { mechanism: "SCRAM-SHA-256", username: "alice", password: "secret" } as const;
  const address = await broker(t, (request) => {
    if (request.key === saslHandshake) return handshake("SCRAM-SHA-256");
    if (request.key !== saslAuthenticate) return answerOf(request);
    // SaslAuthenticate v2: no error, no message, bytes "x", no end of the session, no tags.
    return Buffer.from([0, 0, 0, 0, 2, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });
  const fault = await refused({ bootstrap: [address], sasl });
  assert.equal(fault.code, "UPLINK_LOGIN_REFUSED");
  assert.match(fault.message, /SCRAM answer makes no sense/);
  assert.doesNotMatch(fault.message, /secret/);
});

test("a login that holds for years is not renewed over and over", async (t) => {
  let logins = 0;
  const sasl = { mechanism: "PLAIN", username: "alice", password: "secret" } as const;
  await connected(t, { sasl }, (request) => {
    if (request.key === saslHandshake) return handshake("PLAIN");
    if (request.key !== saslAuthenticate) return answerOf(request);
    logins++;
    // No error, no message, no bytes, 2^40 ms, no tags.
    return Buffer.from([0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  });
  await sleep(50);
  assert.equal(logins, 1);
});

test("a broker too old for a request says so when it is needed", async (t) => {
  const old = { ...ownVersions(), [requests.FindCoordinator.key]: [0, 2] as const };
  const cluster = await connected(t, {}, (request) =>
    request.key === apiVersions ? versionsAnswer(old) : answerOf(request),
  );
  const fault = await faultOf(cluster.committedOffsets("g"));
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

test("a broker that fails in the middle is left alone: what becomes of it is not the session's loss", async (t) => {
  const sockets: Socket[] = [];
  const useless = await broker(
    t,
    // Of Metadata, an answer that ends too early.
    (request) => (request.key === requests.Metadata.key ? Buffer.from([0]) : answerOf(request)),
    (socket, frame) => {
      sockets.push(socket);
      socket.write(frame);
    },
  );
  const useful = await broker(t, answerOf);
  const cluster = await connectCluster({ ...patience, bootstrap: [useless, useful] });
  t.after(async () => await cluster.close());
  const [socket] = sockets;
  assert.ok(socket !== undefined);
  if (!socket.closed) await once(socket, "close");
  assert.equal(cluster.isLost, false);
  assert.ok(cluster.traffic.received > 200, "what it cost is counted");
});

test("a session whose broker hangs up is lost", async (t) => {
  const sockets = new Set<Socket>();
  const address = await broker(t, answerOf, (socket, frame) => {
    sockets.add(socket);
    socket.write(frame);
  });
  const cluster = await connectCluster({ ...patience, bootstrap: [address] });
  t.after(async () => await cluster.close());
  assert.equal(cluster.isLost, false);
  for (const socket of sockets) socket.destroy();
  const deadline = performance.now() + 2_000;
  while (!cluster.isLost && performance.now() < deadline) await sleep(1);
  assert.equal(cluster.isLost, true);
});

test("a broker is told by what name it was called, unless that is an address", async (t) => {
  if (!requireTool(t, "openssl")) return;
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-names-"));
  const { authority, server: own } = makeCertificates(folder.path);
  const names: (string | false | null)[] = [];
  const identity = { key: readFileSync(own.key), cert: readFileSync(own.certificate) };
  const server = createTlsServer(identity, (socket) => {
    names.push(socket.servername);
    socket.on("error", () => undefined).destroy();
  });
  t.after(() => server.close());
  const port = await listening(server);
  const ca = readFileSync(authority);
  const tried = async (host: string, serverName?: string): Promise<void> => {
    const tls = { ca, ...(serverName === undefined ? {} : { serverName }) };
    const fault = await refused({ bootstrap: [`${host}:${port}`], tls });
    assert.match(fault.message, /closed the connection before it answered/);
  };
  await tried("localhost");
  await tried("127.0.0.1");
  await tried("127.0.0.1", "localhost");
  assert.deepEqual(names, ["localhost", false, "localhost"]);
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

// ---- sessions ----

const patience = { clientId: "test", requestTimeoutMs: 2_000, connectTimeoutMs: 2_000 };

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

/** SaslHandshake v1: no error, one mechanism. */
function handshake(mechanism: string): Buffer {
  const length = String.fromCharCode(mechanism.length);
  return Buffer.from(`\0\0\0\0\0\x01\0${length}${mechanism}`, "latin1");
}

async function refused(
  options: Partial<ClusterOptions> & Pick<ClusterOptions, "bootstrap">,
): Promise<Fault> {
  return await faultOf(connectCluster({ ...patience, ...options }));
}
