/**
 * A real agent whose doors are all locked, and clients that others wrote: mosquitto_pub with a
 * certificate, MQTT.js by mqtts, wss and ws, the command line by HTTPS with a token.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { connectAsync, type IClientOptions } from "mqtt";
import type { Status } from "../../src/agent/status.ts";
import type { LedgerView } from "../../src/edge-ops/ledger.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../support/agent-process.ts";
import {
  type Authority,
  issue,
  makeAuthority,
  revoke,
  serverNames,
} from "../support/certificates.ts";
import { findTool, requireTool } from "../support/require-tool.ts";

const run = promisify(execFile);
const main = resolve(import.meta.dirname, "../../src/agent/cli/main.ts");

type Site = {
  readonly folder: string;
  readonly ca: Authority;
  readonly agent: AgentProcess;
  readonly ports: Readonly<Record<"mtls" | "wss" | "ws" | "https", number>>;
  readonly token: string;
};

/** What `weir status --json` says. */
type Said = { readonly status: Status; readonly ledger: LedgerView };

function receivedBy({ ledger }: Said): number {
  return ledger.sources[0]?.messages.received ?? 0;
}

/** What went wrong with a program, as one text. */
async function failureOf(file: string, args: readonly string[]): Promise<string> {
  const failed = await run(file, args).then(
    () => undefined,
    (error: unknown) => error as { readonly stdout: string; readonly stderr: string },
  );
  assert.ok(failed !== undefined, `${file} ${args.join(" ")} did not fail`);
  return failed.stdout + failed.stderr;
}

async function open(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "weir-doors-"));
  const ca = makeAuthority(join(folder, "ca"));
  const server = issue(ca, { name: "server", names: serverNames });
  issue(ca, { name: "pump-7" });
  const crl = revoke(ca, [issue(ca, { name: "stolen" })]);
  const made = await run(process.execPath, [main, "token", "new", "--name", "dash"]);
  const token = /^(weir_\S+)\n$/.exec(made.stdout)?.[1];
  const lines = /^http:\n[^]*$/m.exec(made.stderr)?.[0];
  assert.ok(token !== undefined && lines !== undefined, made.stdout + made.stderr);
  assert.ok(!made.stderr.includes(token));
  const ports = {
    mtls: await freePort(),
    wss: await freePort(),
    ws: await freePort(),
    https: await freePort(),
  };
  const files = `certificate: ${server.certificate}, key: ${server.key}`;
  const config = join(folder, "weir.yaml");
  writeFileSync(
    config,
    `version: 1
agent: doors
data: ./data
mqtt:
  port: off
  users: [{ name: panel, password: word-of-the-panel }]
  certificates:
    - { name: "*", publish: ["plant/+/{user}/#"], subscribe: [] }
  listeners:
    - { host: 0.0.0.0, port: ${ports.mtls}, tls: { ${files}, clientCa: ${ca.certificate}, crl: ${crl} } }
    - { host: 0.0.0.0, port: ${ports.wss}, webSocket: /mqtt, tls: { ${files} } }
    - { host: 127.0.0.1, port: ${ports.ws}, webSocket: /mqtt, allowedOrigins: ["https://panel.example"] }
sources:
  - { name: plant, topics: ["plant/{line}/{device}/state"] }
${lines.trimEnd()}
  host: 0.0.0.0
  port: ${ports.https}
  tls: { ${files} }
`,
  );
  const agent = await startAgentProcess(["run", "-c", config]);
  writeFileSync(join(folder, "token"), `${token}\n`);
  return { folder, ca, agent, ports, token };
}

let site: Site | undefined;

describe("an agent whose doors are locked", () => {
  before(async () => {
    if (findTool("openssl") !== undefined) site = await open();
  });
  after(async () => {
    await site?.agent.kill("SIGTERM");
    if (site !== undefined) rmSync(site.folder, { recursive: true });
  });

  const check = (claim: string, body: (site: Site, t: TestContext) => Promise<void>): void =>
    void it(claim, async (t) => {
      if (!requireTool(t, "openssl")) return;
      assert.ok(site !== undefined);
      await body(site, t);
    });

  const pub = ({ ca, ports }: Site, name: string, topic: string): string[] =>
    ["-h", "127.0.0.1", "-p", String(ports.mtls), "--cafile", ca.certificate]
      .concat(["-V", "mqttv311", "-q", "1", "-t", topic, "-m", '{"temperature":21.5}'])
      .concat(name === "" ? [] : ["--cert", join(ca.folder, `${name}.pem`)])
      .concat(name === "" ? [] : ["--key", join(ca.folder, `${name}-key.pem`)]);

  const status = async ({ folder, ca, ports }: Site): Promise<Said> => {
    const args = ["status", "--url", `https://localhost:${ports.https}`, "--ca", ca.certificate];
    const asked = await run(process.execPath, [
      main,
      ...args,
      "--token-file",
      join(folder, "token"),
      "--json",
    ]);
    return JSON.parse(asked.stdout);
  };

  check(
    "takes a reading from mosquitto_pub with a certificate, by the rights of its name",
    async (at, t) => {
      if (!requireTool(t, "mosquitto_pub")) return;
      const before = receivedBy(await status(at));
      await run("mosquitto_pub", pub(at, "pump-7", "plant/a/pump-7/state"));
      assert.equal(receivedBy(await status(at)), before + 1);
      await failureOf("mosquitto_pub", pub(at, "pump-7", "plant/a/pump-8/state"));
      assert.equal(receivedBy(await status(at)), before + 1);
    },
  );

  check("refuses a revoked certificate and a missing one, and says so", async (at, t) => {
    if (!requireTool(t, "mosquitto_pub")) return;
    await failureOf("mosquitto_pub", pub(at, "stolen", "plant/a/stolen/state"));
    await failureOf("mosquitto_pub", pub(at, "", "plant/a/b/state"));
    const { status: now } = await status(at);
    const handshakes = now.mqtt.listeners[0]?.handshakes;
    assert.equal(handshakes?.refused, 2);
    assert.match(handshakes?.lastRefusal ?? "", /^127\.0\.0\.1:\d+: it has no client certificate$/);
    assert.ok(now.notices.some((notice) => /2 peers were refused at 0\.0\.0\.0:/.test(notice)));
  });

  check("takes readings from MQTT.js by mqtts, wss and ws", async (at) => {
    const { ca, ports } = at;
    const pem = (name: string): Buffer => readFileSync(join(ca.folder, name));
    const authority = readFileSync(ca.certificate);
    const password = { username: "panel", password: "word-of-the-panel" };
    const ways: readonly (readonly [string, IClientOptions])[] = [
      [
        `mqtts://localhost:${ports.mtls}`,
        { ca: authority, cert: pem("pump-7.pem"), key: pem("pump-7-key.pem") },
      ],
      [`wss://localhost:${ports.wss}/mqtt`, { ca: authority, ...password }],
      [`ws://127.0.0.1:${ports.ws}/mqtt`, password],
      [
        `ws://127.0.0.1:${ports.ws}/mqtt`,
        { ...password, wsOptions: { origin: "https://panel.example" } },
      ],
    ];
    for (const [url, options] of ways) {
      for (const protocolVersion of [4, 5] as const) {
        const before = receivedBy(await status(at));
        const client = await connectAsync(url, { ...options, protocolVersion, reconnectPeriod: 0 });
        await client.publishAsync("plant/a/pump-7/state", '{"temperature":1}', { qos: 1 });
        await client.publishAsync("plant/a/pump-7/state", '{"temperature":2}', { qos: 2 });
        await client.endAsync();
        assert.equal(receivedBy(await status(at)), before + 2, `${url} ${protocolVersion}`);
      }
    }
  });

  check("refuses a page of another site, and a wrong password", async ({ ports }) => {
    const url = `ws://127.0.0.1:${ports.ws}/mqtt`;
    const password = { username: "panel", password: "word-of-the-panel", reconnectPeriod: 0 };
    const origin = { wsOptions: { origin: "https://evil.example" } };
    await assert.rejects(connectAsync(url, { ...password, ...origin }, false));
    await assert.rejects(connectAsync(url, { ...password, password: "another" }, false));
  });

  check("gives its status for a token, and tells what is wrong without", async (at) => {
    const { folder, ca, ports, token } = at;
    const url = ["--url", `https://localhost:${ports.https}`];
    const known = [...url, "--ca", ca.certificate];
    const said = await run(process.execPath, [
      main,
      "status",
      ...known,
      "--token-file",
      join(folder, "token"),
    ]);
    assert.match(said.stdout, new RegExp(`mqtt +0\\.0\\.0\\.0:${ports.mtls} tls`));
    assert.doesNotMatch(said.stdout, new RegExp(token));
    assert.match(
      await failureOf(process.execPath, [main, "status", ...known]),
      /answers 401: a token is needed.*--token-file/,
    );
    writeFileSync(join(folder, "wrong"), "weir_no\n");
    assert.match(
      await failureOf(process.execPath, [
        main,
        "status",
        ...known,
        "--token-file",
        join(folder, "wrong"),
      ]),
      /answers 401: the token is not known here/,
    );
    assert.match(
      await failureOf(process.execPath, [main, "status", ...url]),
      /no agent answers .*--ca/,
    );
    const config = ["-c", join(folder, "weir.yaml"), "--token-file", join(folder, "token")];
    const found = await run(process.execPath, [main, "status", ...config]);
    assert.equal(found.stdout.split("\n")[0], said.stdout.split("\n")[0]);
    const asked = ["-c", join(folder, "weir.yaml"), "--url", `http://127.0.0.1:${ports.ws}`];
    assert.match(
      await failureOf(process.execPath, [main, "status", ...asked]),
      /\(426\) wants a WebSocket/,
    );
    assert.match(
      at.agent.output(),
      new RegExp(`started .*listeners=0\\.0\\.0\\.0:${ports.mtls} tls,`),
    );
    assert.doesNotMatch(at.agent.output(), /weir_|word-of-the-panel|PRIVATE/);
  });
});
