/** Logging in to Kafka, and what a person is told when it does not let us in or not do something. */

import assert from "node:assert/strict";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import type { FaultCode } from "../../src/core/faults.ts";
import { connectCluster } from "../../src/sync/kafka/client/client.ts";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import type { ClusterOptions, SaslOptions } from "../../src/sync/kafka/client/cluster-options.ts";
import { eventually } from "../support/kafka/cluster-contract-rig.ts";
import { type KafkaBroker, startKafka, unsecuredToken } from "../support/kafka/broker.ts";
import { type Identity, makeCertificates } from "../support/kafka/certificates.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";
import { requireTool } from "../support/require-tool.ts";
import { faultOf } from "../support/fault-of.ts";

const password = "wonderland";
const mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
const version = "4";

let started: Promise<KafkaBroker> | undefined;
after(async () => await (await started)?.[Symbol.asyncDispose]());

async function secured(t: TestContext): Promise<KafkaBroker | undefined> {
  if (!requireKafka(t, [version]) || !requireTool(t, "openssl")) return undefined;
  started ??= startKafka({ version, security: { users: { alice: password } } });
  return await started;
}

test("users log in with a password, by each mechanism", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  const { saslPlaintext, saslSsl, certificates } = kafka.secured;
  for (const mechanism of mechanisms) {
    await letIn({ bootstrap: [saslPlaintext], sasl: alice(mechanism) });
    const tls = { ca: readFileSync(certificates.authority) };
    await letIn({ bootstrap: [saslSsl], sasl: alice(mechanism), tls });
    await turnedAway(
      { bootstrap: [saslPlaintext], sasl: { ...alice(mechanism), password: "n0t-it" } },
      /the login of User:alice by .* was refused: check sasl\.username and sasl\.password$/,
    );
  }
});

test("a token is asked for at each login", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  let asked = 0;
  const token = async (): Promise<string> => {
    asked++;
    return unsecuredToken("alice");
  };
  const bootstrap = [kafka.secured.saslPlaintext];
  await letIn({ bootstrap, sasl: { mechanism: "OAUTHBEARER", token } });
  await letIn({ bootstrap, sasl: { mechanism: "OAUTHBEARER", token } });
  assert.equal(asked, 2);
});

test("a token that is refused, or cannot be had, is told", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  const bootstrap = [kafka.secured.saslPlaintext];
  const expired = async (): Promise<string> => unsecuredToken("alice", -100);
  await turnedAway(
    { bootstrap, sasl: { mechanism: "OAUTHBEARER", token: expired } },
    /the broker did not accept the token$/,
  );
  const none = async (): Promise<string> => {
    throw new Error("the issuer is down");
  };
  await turnedAway(
    { bootstrap, sasl: { mechanism: "OAUTHBEARER", token: none } },
    /no token could be had for the login: the issuer is down$/,
    "UPLINK_UNREACHABLE",
  );
});

test("a port for something else says what to set", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  const { saslPlaintext, saslSsl, tls, certificates } = kafka.secured;
  const ca = readFileSync(certificates.authority);
  const sasl = alice("SCRAM-SHA-512");
  const plain = [kafka.bootstrap];
  await turnedAway({ bootstrap: plain, sasl }, /no login is wanted on this port/);
  await turnedAway({ bootstrap: plain, tls: { ca } }, /no TLS is spoken on this port/);
  await turnedAway({ bootstrap: [tls] }, /this port wants TLS: set tls/);
  await turnedAway({ bootstrap: [saslSsl], sasl }, /this port wants TLS: set tls/);
  const lost = "UPLINK_UNREACHABLE";
  await turnedAway({ bootstrap: [saslPlaintext] }, /or a login \(sasl\)$/, lost);
  await turnedAway({ bootstrap: [saslSsl], tls: { ca } }, /or a login \(sasl\)$/, lost);
});

test("the broker's certificate is checked", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  const { tls: address, certificates } = kafka.secured;
  const ca = readFileSync(certificates.authority);
  const bootstrap = [address];
  await letIn({ bootstrap, tls: { ca } });
  await letIn({ bootstrap, tls: { ca, serverName: "localhost" } });
  await turnedAway({ bootstrap, tls: {} }, /authority not known here: set tls\.ca/);
  await turnedAway(
    { bootstrap, tls: { ca, serverName: "elsewhere.example" } },
    /elsewhere\.example.*or set tls\.serverName; .*captive portal/,
  );
});

test("a client certificate is shown where one is wanted", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  const { mtls, certificates } = kafka.secured;
  const ca = readFileSync(certificates.authority);
  const bootstrap = [mtls];
  await letIn({ bootstrap, tls: { ca, ...pem(certificates.client) } });
  await turnedAway({ bootstrap, tls: { ca } }, /wants a client certificate: set tls\.certificate/);

  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-strangers-"));
  const stranger = makeCertificates(folder.path).client;
  for (const identity of [certificates.expiredClient, stranger]) {
    const tls = { ca, ...pem(identity) };
    await turnedAway({ bootstrap, tls }, /it refused our client certificate/);
  }
  const { cert } = pem(certificates.client);
  const { key } = pem(stranger);
  await turnedAway({ bootstrap, tls: { ca, cert, key } }, /cannot be used: .*key values mismatch$/);
});

test("a right that is missing is named, with whom it is to be given to", async (t) => {
  const kafka = await secured(t);
  if (kafka === undefined) return;
  await kafka.createTopic("guarded");
  await using session = await sessionOf({
    bootstrap: [kafka.secured.saslPlaintext],
    sasl: alice("PLAIN"),
  });
  const { cluster } = session;
  const at = { topic: "guarded", partition: 0 };
  const transactionalId = "guarded.txn";
  const initialized = cluster.initProducer({ transactionalId, timeoutMs: 60_000 });
  await lacking(initialized, /WRITE and DESCRIBE on TransactionalId guarded\.txn$/);
  await lacking(cluster.partitionsOf([at.topic]), /DESCRIBE on Topic guarded$/);
  await lacking(cluster.topicConfig(at.topic, []), /DESCRIBE_CONFIGS on Topic guarded$/);
  await lacking(cluster.committedOffsets("group"), /READ on Group group$/);
  const created = { topic: "new", partitions: 1, replication: 1, config: {} };
  await lacking(cluster.createTopic(created), /CREATE on Topic new$/);

  const principal = "User:alice";
  await kafka.grant(
    { principal, operation: "WRITE", resourceType: "TRANSACTIONAL_ID", name: transactionalId },
    { principal, operation: "DESCRIBE", resourceType: "TOPIC", name: at.topic },
  );
  const producer = await eventually(() =>
    cluster.initProducer({ transactionalId, timeoutMs: 60_000 }),
  );
  const of = { transactionalId, producer };
  await lacking(cluster.addPartitions(of, [at]), /WRITE to topic.*WRITE on Topic guarded$/);
  await lacking(cluster.addGroup(of, "group"), /READ on Group group$/);
  await lacking(cluster.fetch(at, { offset: 0, bytesMax: 1_000 }), /READ on Topic guarded$/);
  await kafka.grant({ principal, operation: "WRITE", resourceType: "TOPIC", name: at.topic });
  await cluster.addPartitions(of, [at]);
});

function alice(
  mechanism: (typeof mechanisms)[number],
): Extract<SaslOptions, { readonly password: string }> {
  return { mechanism, username: "alice", password };
}

function pem({ certificate, key }: Identity): { readonly cert: Buffer; readonly key: Buffer } {
  return { cert: readFileSync(certificate), key: readFileSync(key) };
}

type Way = Pick<ClusterOptions, "bootstrap" | "sasl" | "tls">;

async function sessionOf(way: Way): Promise<AsyncDisposable & { readonly cluster: Cluster }> {
  const limits = { requestTimeoutMs: 5_000, connectTimeoutMs: 5_000 };
  const cluster = await connectCluster({ clientId: "weir-login", ...limits, ...way });
  return { cluster, [Symbol.asyncDispose]: async () => await cluster.close() };
}

async function letIn(way: Way): Promise<void> {
  await using session = await sessionOf(way);
  assert.notEqual(session.cluster.id, "");
}

async function turnedAway(
  way: Way,
  message: RegExp,
  code: FaultCode = "UPLINK_LOGIN_REFUSED",
): Promise<void> {
  const fault = await faultOf(letIn(way));
  assert.match(fault.message, message);
  assert.equal(fault.code, code, fault.message);
  assert.doesNotMatch(fault.message, /wonderland|n0t-it/);
}

async function lacking(asked: Promise<unknown>, message: RegExp): Promise<void> {
  const fault = await faultOf(asked);
  assert.equal(fault.code, "UPLINK_RIGHT_MISSING", fault.message);
  assert.match(fault.message, /^the cluster does not let User:alice /);
  assert.match(fault.message, message);
}
