import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { freePort, startAgentProcess } from "../../../test/support/agent-process.ts";
import { issue, makeAuthority, serverNames } from "../../../test/support/certificates.ts";
import { lacking, requireTool } from "../../../test/support/require-tool.ts";
import { mountSmallDisk } from "../../../test/support/small-disk.ts";
import { weir, weirMain } from "../../../test/support/weir-command.ts";
import type { Finding } from "./doctor/finding.ts";

type Said = {
  readonly ok: number;
  readonly advice: number;
  readonly fault: number;
  readonly findings: readonly Finding[];
};

function folderOf(t: TestContext): string {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-doctor-"));
  t.after(() => folder.remove());
  return folder.path;
}

/** A configuration in the folder, with ports off unless `text` says otherwise. */
function configIn(folder: string, text: string = ""): string {
  const file = join(folder, "weir.yaml");
  const ports = text.includes("mqtt:") ? "" : "mqtt: { port: off }\n";
  const http = text.includes("http:") ? "" : "http: off\n";
  const data = text.includes("data:") ? "" : "data: data\n";
  const source = text.includes("sources:") ? "" : "sources: [{ name: p, topics: [p] }]\n";
  writeFileSync(file, `version: 1\nagent: gw1\n${data}${ports}${http}${source}${text}\n`);
  return file;
}

async function doctor(file: string): Promise<Said & { readonly code: number }> {
  const { code, out, output } = await weir("doctor", "-c", file, "--json");
  assert.match(out, /^\{/, output);
  return { code, ...(JSON.parse(out) as Said) };
}

/** The findings of an area as "level: what was found". */
function of({ findings }: Said, area: string): readonly string[] {
  return findings
    .filter((each) => each.area === area)
    .map(({ level, found }) => `${level}: ${found}`);
}

function someMatch(said: readonly string[], pattern: RegExp): void {
  assert.ok(
    said.some((each) => pattern.test(each)),
    `${pattern} is none of ${JSON.stringify(said)}`,
  );
}

test("a machine that is fit has no faults, and everything is measured, and nothing is left behind", async (t) => {
  const folder = folderOf(t);
  mkdirSync(join(folder, "data"));
  const said = await doctor(configIn(folder, `mqtt: { port: ${await freePort()} }`));
  assert.equal(said.code, 0, JSON.stringify(said.findings));
  assert.equal(said.fault, 0);
  someMatch(of(said, "disk"), /a sync takes [\d.]+ ms \(p99 [\d.]+ ms, \d+ syncs\)/);
  someMatch(of(said, "disk"), /\d MB a second/);
  someMatch(of(said, "ports"), /^ok: free; this machine alone reaches it/);
  for (const area of ["clock", "kernel", "memory", "endurance", "agent"]) {
    assert.notEqual(of(said, area).length, 0, area);
  }
  assert.deepEqual(readdirSync(join(folder, "data")), []);
  for (const { level, remedy } of said.findings) {
    assert.equal(remedy === undefined, level === "ok", "what is not well has a remedy");
  }
});

test("beside a running agent: it is named, its ports are its own, and it goes on", async (t) => {
  const folder = folderOf(t);
  const [mqtt, http] = [await freePort(), await freePort()];
  const file = configIn(folder, `mqtt: { port: ${mqtt} }\nhttp: { port: ${http} }`);
  const agent = await startAgentProcess(["run", "-c", file]);
  t.after(() => agent.kill("SIGKILL"));
  const said = await doctor(file);
  assert.equal(said.code, 0, JSON.stringify(said.findings));
  someMatch(of(said, "agent"), new RegExp(`an agent runs there: process ${agent.child.pid}`));
  assert.equal(of(said, "ports").length, 2);
  for (const port of of(said, "ports")) assert.match(port, /^ok: the agent listens/);
  someMatch(of(said, "kernel"), new RegExp(`of the agent, process ${agent.child.pid}`));
  assert.doesNotMatch(readdirSync(join(folder, "data")).join(), /doctor/);
  assert.equal((await weir("status", "-c", file)).code, 0);
  assert.equal(await agent.kill("SIGTERM"), 0);
});

test("the agent runs, and not with this configuration", async (t) => {
  const folder = folderOf(t);
  const agent = await startAgentProcess(["run", "-c", configIn(folder)]);
  t.after(() => agent.kill("SIGKILL"));
  const said = await doctor(configIn(folder, `mqtt: { port: ${await freePort()} }`));
  someMatch(of(said, "ports"), /^fault: the agent runs and does not listen there/);
  assert.equal(said.code, 1);
});

test("a port that another program has is named with that program", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const said = await doctor(configIn(folderOf(t), `mqtt: { port: ${port} }`));
  someMatch(
    of(said, "ports"),
    new RegExp(`^fault: process ${process.pid} \\(\\S+\\) listens there`),
  );
  assert.equal(said.code, 1);
});

test("an address that this machine has not, and a listener that is open without TLS", async (t) => {
  const open = `{ host: 0.0.0.0, port: ${await freePort()}, anonymous: true }`;
  const said = await doctor(
    configIn(
      folderOf(t),
      `mqtt: ${open}\nhttp: { host: 192.0.2.7, port: 8080, tokens: [{ name: a, token: "${"a".repeat(40)}" }] }`,
    ),
  );
  someMatch(of(said, "ports"), /^advice: free; open to the network without TLS/);
  assert.doesNotMatch(of(said, "configuration").join(), /cross the network/, "it is said once");
  someMatch(
    of(said, "ports"),
    /^fault: cannot listen on 192\.0\.2\.7:8080: this machine has no such/,
  );
});

test("a configuration with errors, or none, is told, and the machine is looked at all the same", async (t) => {
  const folder = folderOf(t);
  const wrong = await doctor(configIn(folder, "agents: gw2"));
  someMatch(of(wrong, "configuration"), /^fault: it has 1 error: agents: unknown key/);
  assert.match(
    wrong.findings.find(({ area }) => area === "configuration")?.place ?? "",
    /yaml:\d+:\d+$/,
  );
  assert.equal(wrong.code, 1);
  assert.notEqual(of(wrong, "disk").length, 0);
  const missing = await doctor(join(folder, "nowhere.yaml"));
  someMatch(of(missing, "configuration"), /^fault: it cannot be read \(ENOENT\)/);
  const here = spawnSync(process.execPath, [weirMain, "doctor"], { cwd: folder, encoding: "utf8" });
  assert.match(here.stdout, /FAULT {3}configuration .*weir\.yaml:\d+:\d+: it has 1 error/);
  assert.match(here.stdout, /1 fault$/m);
  assert.equal(here.status, 1);
  const unknown = await weir("doctor", "--everything");
  assert.equal(unknown.code, 2);
});

test("a full disk, and one that is read-only", async (t) => {
  const disk = mountSmallDisk(t, { kind: "ext4", mib: 48 });
  if (disk === undefined) return;
  const file = configIn(folderOf(t), `data: ${disk.path}`);
  disk.fill(65_536);
  const full = await doctor(file);
  someMatch(of(full, "disk"), /^fault: .* free: the agent waits for space/);
  disk.clear();
  disk.remount("ro");
  const frozen = await doctor(file);
  someMatch(of(frozen, "disk"), /^fault: ext4 at .* is mounted read-only/);
  someMatch(of(frozen, "disk"), /^fault: it cannot be written to \(EROFS\)/);
  assert.equal(frozen.code, 1);
  disk.remount("rw");
  const scarce = await doctor(file);
  someMatch(of(scarce, "disk"), /^advice: .* less than the 512 MiB that store.freeSpace leaves/);
  assert.equal(scarce.code, 0, JSON.stringify(scarce.findings));
});

test("a data directory in memory, and one whose path is a file's", async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 16 });
  if (disk === undefined) return;
  const folder = folderOf(t);
  const memory = await doctor(configIn(folder, `data: ${disk.path}`));
  someMatch(of(memory, "disk"), /^fault: tmpfs at .* is memory/);
  writeFileSync(join(folder, "data"), "");
  const blocked = await doctor(configIn(folder));
  someMatch(of(blocked, "disk"), /^fault: .*data cannot be made, because .*data is a file/);
  const kernel = await doctor(configIn(folder, "data: /proc/weir"));
  assert.deepEqual(of(kernel, "disk"), [
    "fault: /proc/weir is in a file system of the kernel's own, where nothing is kept",
  ]);
});

test("the directory of a file uplink: there, to be made, and where an agent would not start", async (t) => {
  const folder = folderOf(t);
  mkdirSync(join(folder, "there"));
  writeFileSync(join(folder, "blocked"), "");
  const uplinks = async (directory: string): Promise<Said & { readonly code: number }> =>
    await doctor(configIn(folder, `uplinks: [{ file: { directory: ${directory} } }]`));
  const there = await uplinks("there");
  assert.match(of(there, "uplinks").join(), /^ok: \S+ \S+ are free$/);
  assert.equal(there.code, 0, JSON.stringify(there.findings));
  const absent = await uplinks("some/where");
  assert.match(of(absent, "uplinks").join(), /^ok: the agent makes it; \S+ \S+ are free$/);
  assert.deepEqual(readdirSync(folder).toSorted(), ["blocked", "there", "weir.yaml"]);
  assert.deepEqual(readdirSync(join(folder, "there")), []);
  const kernel = await uplinks("/proc/nope/out");
  assert.deepEqual(of(kernel, "uplinks"), [
    "fault: /proc/nope/out is in a file system of the kernel's own, where nothing is kept",
  ]);
  assert.equal(kernel.code, 1);
  assert.match(of(await uplinks("blocked/out"), "uplinks").join(), /^fault: .*blocked is a file$/);
});

test("certificates that have expired or soon will, and keys and secrets that others may read", async (t) => {
  if (!requireTool(t, "openssl")) return;
  const folder = folderOf(t);
  const authority = makeAuthority(join(folder, "ca"));
  const old = issue(authority, { name: "old", validity: "expired", names: serverNames });
  const soon = issue(authority, { name: "soon", names: serverNames });
  chmodSync(old.key, 0o644);
  chmodSync(soon.key, 0o640);
  const secret = join(folder, "password");
  writeFileSync(secret, "a secret of the broker");
  chmodSync(secret, 0o666);
  const hash = join(folder, "hash");
  writeFileSync(hash, `sha256:${"0".repeat(64)}\n`);
  chmodSync(hash, 0o644);
  const tls = (name: string): string => `{ certificate: ca/${name}.pem, key: ca/${name}-key.pem }`;
  const said = await doctor(
    configIn(
      folder,
      `mqtt: { port: off, users: [{ name: u, password: "\${file:password}" }], listeners: [{ host: 127.0.0.1, port: ${await freePort()}, tls: ${tls("old")} }, { host: 127.0.0.1, port: ${await freePort()}, tls: ${tls("soon")} }] }
http: { port: ${await freePort()}, tokens: [{ name: a, role: viewer, tokenHash: "\${file:hash}" }] }`,
    ),
  );
  const at = (place: string): readonly string[] =>
    said.findings
      .filter((each) => each.place === place)
      .map(({ level, found }) => `${level}: ${found}`);
  assert.deepEqual(at(old.certificate), ["fault: it expired on 2020-02-01T00:00:00Z"]);
  assert.match(at(soon.certificate).join(), /^advice: it expires on .*, in (?:1 day|2 days)$/);
  assert.deepEqual(at(old.key), ["fault: everyone on this machine may read it (mode 644)"]);
  assert.deepEqual(at(soon.key), ["ok: owner and group alone may read it (mode 640)"]);
  assert.deepEqual(at(secret), ["fault: everyone on this machine may change it (mode 666)"]);
  assert.match(
    at(hash).join(),
    /^advice: everyone .* read it \(mode 644\): it is the hash of a token/,
  );
  assert.doesNotMatch(JSON.stringify(said), /a secret of the broker/);
  const gone = await doctor(
    configIn(
      folder,
      `mqtt: { port: off, listeners: [{ host: 127.0.0.1, port: 8883, tls: ${tls("no")} }] }`,
    ),
  );
  someMatch(of(gone, "certificates"), /^fault: the server certificate .*no\.pem cannot be read/);
});

test("brokers and clusters: not there, not answering, not letting us in, and well", async (t) => {
  const folder = folderOf(t);
  const port = await freePort();
  const login = 'users: [{ name: gate, password: "right and long" }]';
  const site = configIn(folderOf(t), `mqtt: { port: ${port}, ${login} }`);
  const broker = await startAgentProcess(["run", "-c", site]);
  t.after(() => broker.kill("SIGKILL"));
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => sockets.add(socket)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    silent.close();
    for (const socket of sockets) socket.destroy();
  });
  const mute = (silent.address() as AddressInfo).port;
  const nobody = await freePort();
  const named = (name: string, at: number, password: string): string =>
    `{ name: ${name}, urls: ["mqtt://127.0.0.1:${at}"], user: gate, password: "${password}", answerWait: 3s }`;
  const said = await doctor(
    configIn(
      folder,
      `brokers:
  - ${named("well", port, "right and long")}
  - ${named("wrong", port, "wrong and long")}
  - ${named("mute", mute, "x")}
  - ${named("gone", nobody, "x")}
uplinks:
  - kafka: { brokers: ["127.0.0.1:${nobody}"], timeouts: { connect: 1s, request: 1s } }
  - http: { url: "http://127.0.0.1:${mute}/x" }`,
    ),
  );
  const at = (place: string): Finding => {
    const found = said.findings.find((each) => each.place.startsWith(place));
    assert.ok(found, `${place} in ${JSON.stringify(said.findings)}`);
    return found;
  };
  assert.match(at("well ").found, /^it lets gate in \(\d+ ms\)$/);
  assert.equal(at("well ").level, "ok");
  assert.match(at("wrong ").found, /refuses this user or client id/);
  assert.match(at("wrong ").remedy ?? "", /correct user, password/);
  assert.match(at("mute ").found, /did not answer CONNECT within 3000 ms/);
  assert.match(at("gone ").found, /ECONNREFUSED/);
  assert.match(at("kafka ").found, /nothing listens there/);
  assert.equal(at("http://").level, "ok");
  for (const place of ["wrong ", "mute ", "gone ", "kafka "])
    assert.equal(at(place).level, "fault");
  assert.equal(said.code, 1);
});

test("limits of the process: few open files, little address space", (t) => {
  const file = configIn(folderOf(t));
  const limited = (limit: string): Said => {
    const command = `ulimit ${limit}; exec "$0" "$@"`;
    const args = ["-c", command, process.execPath, weirMain, "doctor", "-c", file, "--json"];
    return JSON.parse(spawnSync("bash", args, { encoding: "utf8" }).stdout) as Said;
  };
  someMatch(of(limited("-n 200"), "kernel"), /^fault: 200 may be open \(of this shell\)/);
  someMatch(of(limited("-n 1024"), "kernel"), /^advice: 1024 may be open .*fewer than 4416/);
  someMatch(of(limited("-v 200000000"), "kernel"), /^fault: it is limited to 191 GiB/);
});

test("the memory of a control group counts, not that of the machine", (t) => {
  const group = `/sys/fs/cgroup/memory/weir-doctor-${process.pid}`;
  try {
    mkdirSync(group);
    t.after(() => rmdirSync(group));
    writeFileSync(join(group, "memory.limit_in_bytes"), String(70 * 1_048_576));
  } catch (error) {
    lacking(t, `needs the right to make a control group of version 1 (${String(error)})`);
    return;
  }
  const file = configIn(folderOf(t));
  // The group of the shell before the doctor takes its place; swap and pages of files help it to run.
  const command = `echo $$ > ${group}/cgroup.procs; exec "$0" "$@"`;
  const args = ["-c", command, process.execPath, weirMain, "doctor", "-c", file, "--json"];
  const { stdout } = spawnSync("bash", args, { encoding: "utf8" });
  someMatch(
    of(JSON.parse(stdout) as Said, "memory"),
    /^fault: at most 70 MiB of .* needs about 75 MiB/,
  );
});
