/**
 * Configuration from afar, with real processes: an agent, a broker of the site that has the topic (another
 * weir), and somebody who signs. What is right is tried, watched and stays; everything else is refused or
 * taken back by the agent itself, and the audit log says why.
 */

import assert from "node:assert/strict";
import { mkdtempDisposableSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync, type MqttClient } from "mqtt";
import type { LedgerView } from "../../src/edge-ops/ledger.ts";
import { newKey, privateKeyIn, signDocument } from "../../src/agent/remote/document.ts";
import type { AuditEntry } from "../../src/agent/remote/audit-log.ts";
import type { Status } from "../../src/agent/status.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../support/agent-process.ts";
import { weir } from "../support/weir-command.ts";

const topic = "weir/config/gw1";
const waitMs = 30_000;

const windows = (seconds: number, name = "windows"): string =>
  `pipelines: [{ name: ${name}, key: [device], window: { tumbling: ${seconds}s }, aggregate: [count, mean] }]\n`;

type Signed = Pick<Parameters<typeof signDocument>[0], "version" | "mayDelete"> &
  Partial<Record<"agent" | "expires", string>>;

class Site {
  readonly folder: string;
  readonly key = newKey();
  readonly #t: TestContext;
  readonly ports: { readonly site: number; readonly mqtt: number; readonly http: number };
  readonly #client: MqttClient;
  agent: AgentProcess | undefined;

  constructor(
    t: TestContext,
    parts: Pick<Site, "folder" | "ports"> & { readonly client: MqttClient },
  ) {
    this.#t = t;
    this.folder = parts.folder;
    this.ports = parts.ports;
    this.#client = parts.client;
  }

  get file(): string {
    return join(this.folder, "weir.yaml");
  }

  configure({
    watch = "2s",
    more = "",
  }: {
    readonly watch?: string;
    readonly more?: string;
  } = {}): void {
    const { site, mqtt, http } = this.ports;
    writeFileSync(
      this.file,
      `version: 1
agent: gw1
data: data
mqtt: { port: ${mqtt}, publish: { status: 1s } }
http: { port: ${http} }
brokers: [{ name: site, urls: ["mqtt://127.0.0.1:${site}"] }]
sources: [{ name: p, topics: ["p/{device}"], disorder: 0s }]
${windows(10)}
remote:
  keys: [{ name: ops, key: "${this.key.publicKey}" }]
  mqtt: { broker: site, topic: "weir/config/{agent}" }
  allow: [sources, pipelines, uplinks, limits]
  watch: ${watch}
  tries: 2
${more}`,
    );
  }

  async start(): Promise<AgentProcess> {
    const agent = await startAgentProcess(["run", "-c", this.file]);
    this.agent = agent;
    this.#t.after(() => agent.kill("SIGKILL"));
    return agent;
  }

  sign(body: string, { agent = "gw*", expires, ...about }: Signed, pem = this.key.pem): Buffer {
    const privateKey = privateKeyIn(Buffer.from(pem));
    assert.ok(privateKey);
    const issued = "2026-11-29T11:00:00Z";
    return signDocument({ agent, ...about, issued, expires, body }, privateKey);
  }

  async publish(document: Uint8Array): Promise<void> {
    await this.#client.publishAsync(topic, Buffer.from(document), { qos: 1, retain: true });
  }

  async reading(value: number, ts: number): Promise<void> {
    const url = `mqtt://127.0.0.1:${this.ports.mqtt}`;
    const device = await connectAsync(url, { reconnectPeriod: 0 });
    await device.publishAsync("p/d1", JSON.stringify({ ts, value }), { qos: 1 });
    await device.endAsync();
  }

  /** What the agent says of itself when it is asked for the first time after now. */
  async heartbeat(): Promise<
    Record<"configuration" | "inventory" | "waiting", Record<string, unknown>>
  > {
    const client = await connectAsync(`mqtt://127.0.0.1:${this.ports.mqtt}`, {
      reconnectPeriod: 0,
    });
    const said = Promise.withResolvers<Buffer>();
    let count = 0;
    // The retained one may be older: the next is not.
    client.on("message", (_topic, payload) => {
      if ((count += 1) === 2) said.resolve(payload);
    });
    await client.subscribeAsync("weir/gw1/status", { qos: 1 });
    const payload = await said.promise;
    await client.endAsync();
    return JSON.parse(payload.toString());
  }

  async #get(path: string): Promise<Response> {
    return await fetch(`http://127.0.0.1:${this.ports.http}${path}`);
  }

  async status(): Promise<Status> {
    return (await (await this.#get("/v1/status")).json()) as Status;
  }

  async ledger(): Promise<LedgerView> {
    return (await (await this.#get("/v1/ledger")).json()) as LedgerView;
  }

  async metrics(): Promise<string> {
    return await (await this.#get("/metrics")).text();
  }

  /** The status as soon as it is as wanted; while the agent is configured anew there is none. */
  async until(
    what: string,
    holds: (remote: NonNullable<Status["remote"]>) => boolean,
  ): Promise<Status> {
    const deadline = performance.now() + waitMs;
    let last: unknown;
    while (performance.now() < deadline) {
      try {
        const status = await this.status();
        last = status.remote;
        if (status.remote !== undefined && holds(status.remote)) return status;
      } catch (error) {
        last = error;
      }
      await wait(50);
    }
    return assert.fail(
      `${what} within ${waitMs} ms: ${JSON.stringify(last)}\n${this.agent?.output()}`,
    );
  }

  async audit(): Promise<readonly AuditEntry[]> {
    const { out } = await weir("remote", "status", "-c", this.file, "--json");
    return (JSON.parse(out) as { readonly audit: readonly AuditEntry[] }).audit;
  }
}

async function siteOf(t: TestContext): Promise<Site> {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-remote-"));
  t.after(() => folder.remove());
  const ports = { site: await freePort(), mqtt: await freePort(), http: await freePort() };
  const broker = join(folder.path, "site.yaml");
  writeFileSync(
    broker,
    `version: 1\nagent: site\ndata: site\nmqtt: { port: ${ports.site} }\nhttp: off\nsources: [{ name: none, topics: [none] }]\n`,
  );
  const site = await startAgentProcess(["run", "-c", broker]);
  t.after(() => site.kill("SIGKILL"));
  const client = await connectAsync(`mqtt://127.0.0.1:${ports.site}`);
  t.after(() => client.endAsync(true));
  return new Site(t, { folder: folder.path, ports, client });
}

const inForce =
  (version: number) =>
  ({ inForce: now, trial }: NonNullable<Status["remote"]>): boolean =>
    now?.version === version && trial === undefined;

function accepted(ledger: LedgerView): number {
  return ledger.sources.reduce((sum, { readings }) => sum + readings.accepted, 0);
}

test("a configuration is applied without losing readings, proven, and still there after a restart", async (t) => {
  const site = await siteOf(t);
  site.configure();
  await site.start();
  await site.until("the topic is read", ({ channels }) => channels[0]?.state === "reading");
  // In the same window of 10 s, before and after.
  await site.reading(1, 1_764_000_001_000);
  await site.publish(
    site.sign(
      `${windows(10)}`.replace(
        "]\n",
        ", { name: more, key: [], window: { tumbling: 1m }, aggregate: [count] }]\n",
      ),
      { version: 1 },
    ),
  );
  const trial = await site.until("it is on trial", ({ inForce: now }) => now?.version === 1);
  assert.deepEqual(trial.remote?.trial, { tries: 1, triesMax: 2 });
  assert.match(trial.notices.join(), /remote configuration 1 is on trial/);
  await site.reading(3, 1_764_000_002_000);
  await site.until("it is proven", inForce(1));
  await site.reading(0, 1_764_000_300_000);
  const deadline = performance.now() + waitMs;
  const outputs = async (): Promise<number> => (await site.status()).outputs.summaries;
  while ((await outputs()) < 2 && performance.now() < deadline) await wait(50);
  const ledger = await site.ledger();
  assert.equal(accepted(ledger), 3);
  assert.equal(ledger.balanced, true);
  assert.deepEqual(ledger.pipelines.map(({ pipeline }) => pipeline).toSorted(), [
    "more",
    "windows",
  ]);
  assert.match(await site.metrics(), /^weir_remote_version 1$/m);
  const { configuration, inventory, waiting } = await site.heartbeat();
  const { digest } = (await site.status()).remote?.inForce ?? {};
  assert.deepEqual(configuration, { version: 1, digest, trial: false, highest: 1 });
  assert.match(String(inventory.dataflow), /^[0-9a-f]{16}$/);
  assert.equal(inventory.platform, `${process.platform}-${process.arch}`);
  assert.deepEqual(waiting, { records: 0 });
  assert.deepEqual(
    (await site.audit()).map(({ kind, version, key }) => [kind, version, key]),
    [
      ["accepted", 1, "ops"],
      ["proven", 1, "ops"],
    ],
  );
  assert.equal(await site.agent?.kill("SIGTERM"), 0);
  await site.start();
  const again = await site.until(
    "the topic is read",
    ({ channels }) => channels[0]?.state === "reading",
  );
  assert.equal(again.remote?.inForce?.version, 1);
  assert.equal(again.remote?.trial, undefined);
  await wait(500); // the retained message has come, and is known
  assert.equal((await site.status()).startedAt, again.startedAt);
  assert.equal((await site.audit()).length, 2);
});

test("a bad signature is refused and audited, and nothing else happens", async (t) => {
  const site = await siteOf(t);
  site.configure();
  await site.start();
  const before = await site.until(
    "the topic is read",
    ({ channels }) => channels[0]?.state === "reading",
  );
  const right = site.sign(windows(1), { version: 1 });
  // One bit of what was signed.
  const forged = Buffer.from(right);
  forged[forged.length - 3]! ^= 1;
  await site.publish(forged);
  await site.publish(site.sign(windows(2), { version: 2 }, newKey().pem));
  await site.publish(Buffer.from("pipelines: []"));
  const { remote } = await site.until(
    "three are refused",
    ({ counters }) => Object.values(counters.refused).reduce((sum, count) => sum + count, 0) === 3,
  );
  assert.deepEqual(remote?.counters.refused, { bad_signature: 1, unknown_key: 1, malformed: 1 });
  assert.equal(remote?.inForce, undefined);
  const audit = await site.audit();
  assert.deepEqual(
    audit.map(({ kind, code, from }) => `${kind} ${code} ${from}`),
    ["refused bad_signature mqtt", "refused unknown_key mqtt", "refused malformed mqtt"],
  );
  assert.match(audit[0]?.reason ?? "", /the signature is not that of ops/);
  // Again: counted, and no other entry.
  await site.publish(forged);
  await site.until("it is counted", ({ counters }) => counters.refused["bad_signature"] === 2);
  assert.equal((await site.audit()).length, 3);
  const now = await site.status();
  assert.equal(now.startedAt, before.startedAt);
  assert.match(now.notices.join(), /4 remote configurations refused/);
  assert.match(await site.metrics(), /^weir_remote_refused_total\{code="bad_signature"\} 2$/m);
  const { out } = await weir("status", "-c", site.file);
  assert.match(out, /remote {4}the local file alone; from mqtt weir\/config\/gw1 reading/);
  assert.match(out, /audit {5}.*refused \(malformed\)/);
  assert.match(site.agent?.output() ?? "", /weir: remote kind=refused .*code=bad_signature/);
  // The right one is taken all the same.
  await site.publish(right);
  await site.until("the right one is in force", inForce(1));
  // What was refused is still known by the next process.
  await site.agent?.kill("SIGKILL");
  assert.equal((await site.audit())[0]?.code, "bad_signature");
});

test("what is invalid, not allowed, old, late, or another's is refused", async (t) => {
  const site = await siteOf(t);
  site.configure();
  await site.start();
  await site.publish(site.sign(windows(1), { version: 5 }));
  const { startedAt } = await site.until("version 5 is proven", inForce(5));
  const refused = async (code: string, body: string, signed: Signed): Promise<string> => {
    await site.publish(site.sign(body, signed));
    const { remote } = await site.until(code, ({ counters }) => counters.refused[code] === 1);
    return remote?.audit.at(-1)?.reason ?? "";
  };
  assert.match(
    await refused("invalid", "pipelines: [{ name: w, key: [nope], window: { tumbling: 10 } }]", {
      version: 6,
    }),
    /version 6:1:\d+: pipelines\[0\]\.window\.tumbling: expected a duration/,
  );
  await site.publish(site.sign("http: { port: 1 }", { version: 7 }));
  const two = await site.until(
    "http is refused",
    ({ counters }) => counters.refused["invalid"] === 2,
  );
  assert.match(two.remote?.audit.at(-1)?.reason ?? "", /http: must not be set from afar here/);
  await site.publish(
    site.sign('uplinks: [{ http: { url: "https://x.example/", user: u, password: plain } }]', {
      version: 8,
    }),
  );
  const three = await site.until(
    "a secret is refused",
    ({ counters }) => counters.refused["invalid"] === 3,
  );
  assert.match(three.remote?.audit.at(-1)?.reason ?? "", /a secret does not travel/);
  assert.doesNotMatch(JSON.stringify(three), /plain/);
  assert.match(
    await refused(
      "files",
      'uplinks: [{ http: { url: "https://x.example/", tls: { ca: nowhere.pem } } }]',
      { version: 9 },
    ),
    /nowhere\.pem cannot be read/,
  );
  assert.match(
    await refused("replayed", windows(3), { version: 4 }),
    /version 4, and version 5 was/,
  );
  assert.match(await refused("version_taken", windows(3), { version: 5 }), /sign it as 6/);
  assert.match(await refused("other_agent", windows(3), { version: 10, agent: "gw2" }), /for gw2/);
  assert.match(
    await refused("expired", windows(3), { version: 11, expires: "2026-01-01T00:00:00Z" }),
    /it expired at 2026-01-01T00:00:00/,
  );
  assert.match(
    await refused("would_delete", windows(3) + "limits: { series: 7 }\n", { version: 12 }),
    /it changes limits, .*--may-delete/,
  );
  const now = await site.status();
  assert.equal(now.startedAt, startedAt);
  assert.equal(now.remote?.inForce?.version, 5);
  assert.equal(now.remote?.highest, 5);
});

test("a configuration that makes the agent worse off is rolled back by itself", async (t) => {
  const site = await siteOf(t);
  site.configure();
  await site.start();
  await site.publish(site.sign(windows(1), { version: 1 }));
  await site.until("version 1 is proven", inForce(1));
  await site.reading(1, 1_764_000_001_000);
  const nobody = await freePort();
  const uplink = `uplinks: [{ mqtt: { url: "mqtt://127.0.0.1:${nobody}" } }]\n`;
  await site.publish(site.sign(windows(1) + uplink, { version: 2 }));
  await site.until("version 2 is on trial", ({ inForce: now }) => now?.version === 2);
  const back = await site.until("version 1 is back", inForce(1));
  assert.match(
    back.notices.join(),
    /remote configuration 2 was rolled back .*correct it, and sign/,
  );
  await site.reading(2, 1_764_000_002_000);
  assert.equal(accepted(await site.ledger()), 2);
  assert.equal((await site.ledger()).balanced, true);
  const audit = await site.audit();
  assert.deepEqual(
    audit.map(({ kind, code, version }) => [kind, code, version]),
    [
      ["accepted", undefined, 1],
      ["proven", undefined, 1],
      ["accepted", undefined, 2],
      ["rolled_back", "unhealthy", 2],
    ],
  );
  assert.match(audit.at(-1)?.reason ?? "", /uplink mqtt:127\.0\.0\.1:\d+ \w+: .*ECONNREFUSED/);
  // One that is there is reached, and stays.
  const there = uplink.replace(String(nobody), String(site.ports.site));
  await site.publish(site.sign(windows(1) + there, { version: 3 }));
  await site.until("version 3 is proven", inForce(3));
  await site.publish(site.sign(windows(1) + uplink, { version: 4, mayDelete: true }));
  await site.until(
    "version 3 is back",
    ({ counters, inForce: now }) => counters.rolledBack === 2 && now?.version === 3,
  );
  // It is still retained, and does not come back.
  await site.agent?.kill("SIGTERM");
  await site.start();
  await site.until("the topic is read", ({ channels }) => channels[0]?.state === "reading");
  await wait(500);
  assert.equal((await site.status()).remote?.inForce?.version, 3);
  assert.equal((await site.audit()).length, 8);
});

test("a configuration with which the agent cannot start is rolled back at once", async (t) => {
  const site = await siteOf(t);
  site.configure({ watch: "1h" });
  writeFileSync(join(site.folder, "blocked"), "a file");
  const agent = await site.start();
  const uplink = "uplinks: [{ file: { directory: blocked } }]\n";
  await site.publish(site.sign(windows(1) + uplink, { version: 1 }));
  const { remote } = await site.until(
    "it is rolled back",
    ({ counters }) => counters.rolledBack === 1,
  );
  assert.equal(remote?.inForce, undefined);
  const [, last] = await site.audit();
  assert.deepEqual([last?.kind, last?.code], ["rolled_back", "failed"]);
  assert.match(last?.reason ?? "", /cannot write to .*blocked/);
  assert.equal(agent.child.exitCode, null);
});

test("a configuration on trial that ends the process is rolled back after its tries", async (t) => {
  const site = await siteOf(t);
  site.configure({ watch: "1h" });
  await site.start();
  await site.reading(1, 1_764_000_001_000);
  await site.publish(site.sign(windows(1), { version: 1 }));
  const first = await site.until("the first try", ({ trial }) => trial !== undefined);
  assert.deepEqual(first.remote?.trial, { tries: 1, triesMax: 2 });
  await site.agent?.kill("SIGKILL");
  await site.start();
  const second = await site.until("the second try", ({ trial }) => trial !== undefined);
  assert.deepEqual(second.remote?.trial, { tries: 2, triesMax: 2 });
  // One that is started beside it by mistake decides nothing.
  const beside = await weir("run", "-c", site.file);
  assert.deepEqual([beside.code, /another weir is using/.test(beside.error)], [1, true]);
  assert.equal((await site.audit()).at(-1)?.kind, "accepted");
  // Ended as it was asked to: not counted.
  assert.equal(await site.agent?.kill("SIGTERM"), 0);
  await site.start();
  const third = await site.until("the second try again", ({ trial }) => trial !== undefined);
  assert.deepEqual(third.remote?.trial, { tries: 2, triesMax: 2 });
  await site.agent?.kill("SIGKILL");
  await site.start();
  const back = await site.until("the local file alone", ({ trial }) => trial === undefined);
  assert.equal(back.remote?.inForce, undefined);
  assert.equal(back.remote?.highest, 1);
  assert.equal(accepted(await site.ledger()), 1);
  const last = (await site.audit()).at(-1);
  assert.deepEqual([last?.kind, last?.code, last?.version], ["rolled_back", "crashed", 1]);
});

test("keygen and sign make what an agent takes; a key that is taken out takes what it signed with it", async (t) => {
  const site = await siteOf(t);
  const [key, body, out] = ["ops.pem", "body.yaml", "signed"].map((name) =>
    join(site.folder, name),
  );
  assert.ok(key !== undefined && body !== undefined && out !== undefined);
  const made = await weir("remote", "keygen", "--out", key, "--name", "ops");
  assert.equal(made.code, 0, made.output);
  const [, publicKey = ""] = /key: "([^"]+)"/.exec(made.out) ?? [];
  assert.match(readFileSync(key, "utf8"), /PRIVATE KEY/);
  const over = await weir("remote", "keygen", "--out", key);
  assert.match(over.error, /EEXIST.*it is there already/);
  writeFileSync(body, windows(5));
  const sign = ["remote", "sign", body, "--key", key, "--agent", "gw1", "--version", "3"];
  const signed = await weir(...sign, "--expires", "30d", "--out", out);
  assert.equal(signed.code, 0, signed.output);
  site.configure();
  const own = site.key.publicKey;
  const configured = readFileSync(site.file, "utf8");
  writeFileSync(site.file, configured.replace(own, publicKey));
  await site.start();
  // What is edited meanwhile waits for a restart, whatever a document makes of the agent.
  writeFileSync(site.file, configured.replace("data: data", "data: elsewhere"));
  await site.publish(readFileSync(out));
  await site.until("version 3 is in force", inForce(3));
  assert.ok(!readdirSync(site.folder).includes("elsewhere"));
  await site.agent?.kill("SIGTERM");
  writeFileSync(site.file, configured);
  await site.start();
  const without = await site.until(
    "the topic is read",
    ({ channels }) => channels[0]?.state === "reading",
  );
  assert.equal(without.remote?.inForce, undefined);
  const kinds = (await site.audit()).map(({ kind }) => kind);
  assert.ok(kinds.includes("unusable"), kinds.join());
  assert.deepEqual(readdirSync(join(site.folder, "data/remote")).toSorted(), [
    "audit.ndjson",
    "state.json",
  ]);
});
