/**
 * Logging in to Kafka with what files hold: tokens and certificates that are replaced while the uplink
 * runs, and files of no use. What a login itself does and tells: cluster-login.test.ts.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/agent/doors/clock.ts";
import {
  type Credentials,
  type KafkaSecurity,
  openCredentials,
} from "../../src/agent/doors/kafka-credentials.ts";
import type { Clock } from "../../src/core/doors.ts";
import { Fault, type FaultCode } from "../../src/core/faults.ts";
import { limits } from "../../src/core/limits.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { byLane, outputQueues } from "../../src/store/outbox/lane.ts";
import { OutboxWriter } from "../../src/store/outbox/outbox.ts";
import { openStateStore, type StateStore } from "../../src/store/state/state-store.ts";
import { type Drain, openDrain } from "../../src/sync/drain.ts";
import { connectCluster } from "../../src/sync/kafka/client/client.ts";
import type { Cluster } from "../../src/sync/kafka/cluster.ts";
import { openKafkaUplink } from "../../src/sync/kafka/kafka-uplink.ts";
import { commitRecords } from "../support/commit-records.ts";
import { eventually } from "../support/kafka/cluster-contract-rig.ts";
import { type KafkaBroker, startKafka, unsecuredToken } from "../support/kafka/broker.ts";
import type { Identity } from "../support/kafka/certificates.ts";
import { readCommitted } from "../support/kafka/kcat.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";
import { sampleRecord } from "../support/kafka/sample-record.ts";
import { requireTool } from "../support/require-tool.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const version = "4";
const password = "wonderland";
const agent = "gw1";

type Rig = {
  readonly kafka: KafkaBroker;
  /** User:CN=client. */
  readonly client: Identity;
  /** User:CN=renewed, of the same authority. */
  readonly renewed: Identity;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

let started: Promise<Rig> | undefined;
after(async () => await (await started)?.[Symbol.asyncDispose]());

async function rigOf(t: TestContext): Promise<Rig | undefined> {
  if (!requireKafka(t, [version]) || !requireTool(t, "openssl")) return undefined;
  started ??= start();
  return await started;
}

async function start(): Promise<Rig> {
  const kafka = await startKafka({ version, security: { users: { alice: password } } });
  const { authority, client } = kafka.secured.certificates;
  return {
    kafka,
    client,
    renewed: issue(dirname(authority), "renewed"),
    [Symbol.asyncDispose]: async () => await kafka[Symbol.asyncDispose](),
  };
}

/** Another client certificate of the authority whose files are in the folder: User:CN=<name>. */
function issue(folder: string, name: string): Identity {
  const at = (file: string): string => join(folder, file);
  const made = { key: at(`${name}-key.pem`), certificate: at(`${name}.pem`) };
  const request = at(`${name}.csr`);
  const openssl = (...args: readonly string[]): void => {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", ...key, "-keyout", made.key, "-out", request, "-subj", `/CN=${name}`);
  const by = ["-CA", at("authority.pem"), "-CAkey", at("authority-key.pem"), "-CAcreateserial"];
  openssl("x509", "-req", "-in", request, ...by, "-days", "2", "-out", made.certificate);
  return made;
}

/** Certificate and key in a folder of their own, where they can be replaced. */
class Installed implements Disposable {
  readonly certificate: string;
  readonly key: string;
  readonly #folder: { readonly path: string; readonly remove: () => void };

  constructor(identity: Identity) {
    this.#folder = mkdtempDisposableSync(join(tmpdir(), "weir-installed-"));
    this.certificate = join(this.#folder.path, "client.pem");
    this.key = join(this.#folder.path, "client-key.pem");
    this.replace(identity);
  }

  get paths(): Identity {
    return { certificate: this.certificate, key: this.key };
  }

  replace(identity: Identity): void {
    this.replaceKey(identity);
    copyFileSync(identity.certificate, this.certificate);
  }

  replaceKey(identity: Identity): void {
    copyFileSync(identity.key, this.key);
  }

  [Symbol.dispose](): void {
    this.#folder.remove();
  }
}

type Way = { readonly bootstrap: string; readonly credentials: Credentials };

function wayOf(bootstrap: string, security: Partial<KafkaSecurity>, clock?: Clock): Way {
  const all = { tls: undefined, sasl: undefined, ...security };
  return { bootstrap, credentials: openCredentials(all, clock ?? systemClock()) };
}

async function connect({ bootstrap, credentials }: Way, clientId = "weir-tls"): Promise<Cluster> {
  const timeouts = { requestTimeoutMs: 5_000, connectTimeoutMs: 5_000 };
  const login = await credentials.read();
  return await connectCluster({ bootstrap: [bootstrap], clientId, ...timeouts, ...login });
}

async function sessionOf(way: Way): Promise<AsyncDisposable & { readonly cluster: Cluster }> {
  const cluster = await connect(way);
  return { cluster, [Symbol.asyncDispose]: async () => await cluster.close() };
}

async function letIn(way: Way): Promise<void> {
  await using session = await sessionOf(way);
  assert.notEqual(session.cluster.id, "");
}

async function refused(
  asked: Promise<unknown>,
  message: RegExp,
  code: FaultCode = "UPLINK_LOGIN_REFUSED",
): Promise<void> {
  const failure = await asked.then(
    () => undefined,
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, String(failure));
  assert.match(failure.message, message);
  assert.equal(failure.code, code, failure.message);
  assert.doesNotMatch(failure.message, /wonderland|n0t-it|BEGIN/);
}

test("a token from a file lets in", async (t) => {
  const rig = await rigOf(t);
  if (rig === undefined) return;
  const { saslSsl, certificates } = rig.kafka.secured;
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-token-"));
  const tokenFile = join(folder.path, "token");
  const tls = { ca: certificates.authority };
  const way = wayOf(saslSsl, { tls, sasl: { mechanism: "OAUTHBEARER", tokenFile } });
  writeFileSync(tokenFile, `${unsecuredToken("alice")}\n`);
  await letIn(way);
  writeFileSync(tokenFile, unsecuredToken("alice", -100));
  assert.equal(await way.credentials.isOutdated(), true);
  await refused(letIn(way), /the broker did not accept the token$/);
});

test("files of no use are told before anyone is asked", async (t) => {
  const rig = await rigOf(t);
  if (rig === undefined) return;
  const { certificates } = rig.kafka.secured;
  const withFiles = async (identity: Identity): Promise<void> =>
    await letIn(wayOf("127.0.0.1:1", { tls: { ca: certificates.authority, ...identity } }));
  await refused(
    withFiles(certificates.expiredClient),
    /the client certificate .*expired-client\.pem expired on .* this gateway's clock says/,
  );
  await refused(
    withFiles({ ...rig.client, key: rig.renewed.key }),
    /renewed-key\.pem does not fit the certificate/,
  );
  const missing = `${rig.client.certificate}.missing`;
  await refused(
    withFiles({ ...rig.client, certificate: missing }),
    /client\.pem\.missing .*ENOENT/,
  );
});

test("a certificate that was replaced is shown by the next session", async (t) => {
  const rig = await rigOf(t);
  if (rig === undefined) return;
  const { mtls, certificates } = rig.kafka.secured;
  await rig.kafka.createTopic("renewed-only");
  await rig.kafka.grant({
    principal: "User:CN=renewed",
    operation: "DESCRIBE",
    resourceType: "TOPIC",
    name: "renewed-only",
  });
  using installed = new Installed(rig.client);
  const way = wayOf(mtls, { tls: { ca: certificates.authority, ...installed.paths } });
  await using before = await sessionOf(way);
  installed.replaceKey(rig.renewed);
  assert.equal(await way.credentials.isOutdated(), false, "the certificate is still the old one");
  installed.replace(rig.renewed);
  assert.equal(await way.credentials.isOutdated(), true);
  await using behind = await sessionOf(way);
  assert.equal(await way.credentials.isOutdated(), false);
  const partitions = await eventually(() => behind.cluster.partitionsOf(["renewed-only"]));
  assert.equal(partitions.get("renewed-only"), 1);
  const asked = before.cluster.partitionsOf(["renewed-only"]);
  await refused(asked, /does not let this client DESCRIBE topic/, "UPLINK_RIGHT_MISSING");
});

test("an uplink goes on with a certificate that was replaced, and sends each record once", async (t) => {
  const rig = await rigOf(t);
  if (rig === undefined) return;
  const { kafka } = rig;
  for (const principal of ["User:CN=client", "User:CN=renewed"]) {
    const weir = { principal, operation: "ALL", name: "weir.", pattern: "PREFIXED" } as const;
    await kafka.grant(
      { ...weir, resourceType: "TOPIC" },
      { ...weir, resourceType: "GROUP" },
      { ...weir, resourceType: "TRANSACTIONAL_ID" },
    );
  }
  using installed = new Installed(rig.client);
  await using half = await startHalf(rig, installed);

  await half.emit(3);
  await half.until("the first records are sent", () => half.isSent);
  // A fresh cluster may not have its coordinators at once.
  const { sessions, failures } = half;

  installed.replaceKey(rig.renewed);
  await half.clock.pass(limits.kafkaCredentialsMs);
  await half.emit(1);
  await half.until("records are sent by the session that works", () => half.isSent);
  assert.equal(half.sessions, sessions, "key and certificate do not fit yet");

  installed.replace(rig.renewed);
  await half.clock.pass(limits.kafkaCredentialsMs);
  await half.until(
    "all outputQueues connected again",
    () => half.sessions === sessions + outputQueues.length,
  );
  await half.until("all outputQueues are ready", () => half.isReady);
  await kafka.revokeAll("User:CN=client");
  await half.emit(2);
  await half.until("the last records are sent", () => half.isSent);
  assert.equal(half.sessions, sessions + outputQueues.length);
  assert.equal(half.failures, failures);

  for (const lane of outputQueues) {
    const of = { bootstrap: kafka.bootstrap, topic: `weir.${lane}` };
    const numbers = (await readCommitted(of)).map(({ headers }) =>
      headers["ce_id"]?.split(":").at(-1),
    );
    assert.deepEqual(numbers, ["0", "1", "2", "3", "4", "5"]);
  }
});

// ---- the upstream half of an agent ----

/** Credentials of each lane, as each has a session. */
async function startHalf({ kafka }: Rig, installed: Installed): Promise<UplinkHalf> {
  const { mtls, certificates } = kafka.secured;
  const { store } = await openStateStore(new KvMemory());
  const tls = { ca: certificates.authority, ...installed.paths };
  return new UplinkHalf(store, (clock) => wayOf(mtls, { tls }, clock));
}

class UplinkHalf implements AsyncDisposable {
  readonly clock: SimulatedClock = new SimulatedClock(Date.now());
  /** Connected so far. */
  sessions = 0;
  readonly #store: StateStore;
  readonly #drain: Drain;
  #emitted = 0;

  constructor(store: StateStore, wayTo: (clock: Clock) => Way) {
    this.#store = store;
    const { clock } = this;
    const random = seededRandom(1);
    const uplink = {
      name: "kafka",
      freshForMs: Infinity,
      lanes: byLane((lane) => this.#uplink(wayTo(clock), random).lanes[lane]),
    };
    this.#drain = openDrain({ store, uplinks: [uplink], clock, random });
  }

  get isSent(): boolean {
    return this.#pumps.every(({ next }) => next === this.#emitted);
  }

  get isReady(): boolean {
    return this.#pumps.every(({ facts }) => facts["session"] === "ready");
  }

  get failures(): number {
    return this.#pumps.reduce((sum, { failures }) => sum + failures, 0);
  }

  /** So many more records in each lane. */
  async emit(count: number): Promise<void> {
    const outbox = new OutboxWriter();
    for (let added = 0; added < count; added++, this.#emitted++) {
      const of = { agent, number: this.#emitted, by: "original" };
      for (const queue of outputQueues) outbox.add(queue, sampleRecord({ ...of, lane: queue }));
    }
    await commitRecords(this.#store, outbox);
    this.#drain.wake();
  }

  /** Lets a little time pass until `isSo`: what the uplink waits for has the simulated clock. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!isSo()) {
      if (performance.now() > deadline) {
        throw new Error(`not yet: ${what}; ${JSON.stringify(this.#drain.status)}`);
      }
      await this.clock.pass(10);
      await sleep(5);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#drain.close();
  }

  get #pumps(): readonly Drain["status"][number]["lanes"]["alerts"][] {
    return this.#drain.status.flatMap((uplink) => outputQueues.map((queue) => uplink.lanes[queue]));
  }

  #uplink(way: Way, random: ReturnType<typeof seededRandom>): ReturnType<typeof openKafkaUplink> {
    return openKafkaUplink({
      name: "kafka",
      agent,
      version: "0.0.0-test",
      delivery: "transactional",
      lanes: byLane((lane) => `weir.${lane}`),
      cursorTopic: "weir.cursor",
      topics: { create: true, partitions: 1, replication: 1, cursorPartitions: 1 },
      headers: "cloudevents",
      compression: "none",
      avro: undefined,
      lingerMs: 0,
      batchBytesMax: 65_536,
      recordBytesMax: 65_536,
      transactionMs: 30_000,
      clock: this.clock,
      random,
      connect: async (clientId) => {
        const cluster = await connect(way, clientId);
        this.sessions += 1;
        return cluster;
      },
      isOutdated: () => way.credentials.isOutdated(),
      get: (key) => this.#store.get(key),
      read: (at, of) => this.#store.lanes.readLane(at, of),
    });
  }
}
