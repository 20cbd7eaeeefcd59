/** A service that somebody took over lays links and waits for root to come by. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  lchownSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { lacking } from "../../../test/support/require-tool.ts";
import { weir } from "../../../test/support/weir-command.ts";
import { configOf, sourceDefaults } from "../config/config.ts";
import { newKey } from "../remote/document.ts";
import { dataPaths, startAgent } from "../start.ts";

const nobody = 65_534;

type Place = { readonly home: string; readonly data: string };

/** A data directory of another user; undefined where this is not root. */
async function dataOfNobody(t: TestContext): Promise<Place | undefined> {
  if (process.getuid?.() !== 0) {
    lacking(t, "needs root");
    return undefined;
  }
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-owner-"));
  t.after(() => folder[Symbol.dispose]());
  const home = folder.path;
  const data = join(home, "data");
  const config = configOf({
    agent: "gateway",
    dataDirectory: data,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant"] }],
  });
  const onFailed = (fault: Error): void => {
    throw fault;
  };
  await (await startAgent(config, { onFailed, listen: false })).close();
  chmodSync(home, 0o755);
  for (const name of [".", ...readdirSync(data, { recursive: true, encoding: "utf8" })]) {
    chownSync(join(data, name), nobody, nobody);
  }
  return { home, data };
}

const afar = `brokers: [{ name: site, urls: ["mqtt://127.0.0.1:1"] }]
remote: { keys: [{ name: ops, key: "${newKey().publicKey}" }], mqtt: { broker: site, topic: t } }
`;

function configure({ home, data }: Place, sections: string): string {
  const file = join(home, `weir-${sections.length}.yaml`);
  writeFileSync(
    file,
    `version: 1
agent: gateway
data: ${data}
mqtt: { port: 0 }
sources: [{ name: plant, topics: [plant] }]
${sections}`,
  );
  return file;
}

/** What only root may read, and a link to it in the place of a file of the data directory. */
function linked({ home }: Place, path: string, secret: string): void {
  rmSync(path, { force: true });
  const target = join(home, "secret");
  writeFileSync(target, secret);
  chmodSync(target, 0o600);
  symlinkSync(target, path);
  lchownSync(path, nobody, nobody);
}

function filesIn(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8", withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test("nothing that root does with somebody else's data follows a link there", async (t) => {
  const place = await dataOfNobody(t);
  if (place === undefined) return;
  const { home, data } = place;
  const file = configure(place, afar);
  const paths = dataPaths(data);
  const secret = JSON.stringify({ v: 1, highest: 4_711, digest: "root's own" });
  const segment = join(paths.log, readdirSync(paths.log)[0]!);
  mkdirSync(paths.remote);
  chownSync(paths.remote, nobody, nobody);
  const backup = join(home, "backup");
  const elsewhere = join(home, "elsewhere");
  const commands = [
    ["dlq", "list", "--data", data],
    ["store", "verify", "--data", data],
    ["doctor", "-c", file],
    ["remote", "status", "-c", file],
    ["savepoint", "create", "x", "--data", data],
    ["savepoint", "create", "x", "--data", data, "--dir", elsewhere],
    ["backup", "--list", "--data", data],
    ["backup", backup, "--data", data],
  ];
  const links = [paths.backups, segment, join(paths.remote, "state.json"), `${paths.state}-lock`];
  for (const link of links) linked(place, link, secret);
  for (const command of commands) {
    const { output } = await weir(...command);
    assert.doesNotMatch(output, /4711|root's own/, command.join(" "));
    const { uid, mode } = statSync(join(home, "secret"));
    assert.deepEqual({ uid, mode: mode & 0o777 }, { uid: 0, mode: 0o600 }, command.join(" "));
    assert.ok(readFileSync(join(home, "secret"), "utf8") === secret, command.join(" "));
  }
  // The log comes after the state store, which is well again.
  rmSync(`${paths.state}-lock`);
  await weir("backup", backup, "--data", data);
  for (const copy of filesIn(backup)) assert.ok(!readFileSync(copy).includes(secret), copy);
});

test("where a backup is said to be root looks as the owner, and waits for no pipe", async (t) => {
  const place = await dataOfNobody(t);
  if (place === undefined) return;
  const { home, data } = place;
  const { backups, log } = dataPaths(data);
  const manifest = JSON.stringify({ format: 1, weir: "1", created: 5, files: [] });
  const targets = ["linked", "piped", "bare\u001b[2J\u009b\u202e"].map((name) => join(home, name));
  for (const target of targets) mkdirSync(target);
  const [linkedTo, piped, bare] = targets as [string, string, string];
  linked(place, join(linkedTo, "backup.json"), manifest);
  assert.equal(spawnSync("mkfifo", ["-m", "666", join(piped, "backup.json")]).status, 0);
  const lines = targets.map((target) => JSON.stringify({ created: 5, target, weir: "1" }));
  writeFileSync(backups, [...lines, '{"created":9e15,"target":"/x","weir":"1"}', ""].join("\n"));
  chownSync(backups, nobody, nobody);
  const { code, out, error } = await weir("backup", "--list", "--data", data);
  assert.equal(code, 0, error);
  const shown = bare.replaceAll(/\p{C}/gu, "\u{fffd}");
  const rows = out.split("\n").map((line) => line.split(/ {2,}/).slice(-2));
  assert.deepEqual(rows.slice(1), [
    ["unreadable", linkedTo],
    ["unreadable", piped],
    ["absent", shown],
    ["absent", "/x"],
    [""],
  ]);
  const segment = join(log, readdirSync(log)[0]!);
  rmSync(segment);
  assert.equal(spawnSync("mkfifo", ["-m", "666", segment]).status, 0);
  const made = await weir("backup", join(home, "backup"), "--data", data);
  assert.equal(made.code, 1, made.output);
  assert.ok(made.error.includes(`${segment} is no regular file`), made.error);
});

test("root writes there as little as its owner may", async (t) => {
  const place = await dataOfNobody(t);
  if (place === undefined) return;
  const out = join(place.home, "out");
  mkdirSync(out);
  const uplinks = `uplinks: [{ file: { directory: ${out} } }]`;
  const doctor = async (): Promise<string> =>
    (await weir("doctor", "-c", configure(place, uplinks))).out;
  const refused = (area: string, directory: string): RegExp =>
    new RegExp(`FAULT +${area} +${directory}: it cannot be written to \\(EACCES\\)`);
  const wide = await doctor();
  assert.match(wide, refused("uplinks", out));
  assert.doesNotMatch(wide, refused("disk", place.data));
  chownSync(out, nobody, nobody);
  chmodSync(place.data, 0o550);
  const narrow = await doctor();
  assert.match(narrow, refused("disk", place.data));
  assert.doesNotMatch(narrow, refused("uplinks", out));
  assert.deepEqual(readdirSync(out), []);
});

test("what root made there once is named, with the command that gives it to the owner", async (t) => {
  const place = await dataOfNobody(t);
  if (place === undefined) return;
  const { home, data } = place;
  const { savepoints, backups, remote } = dataPaths(data);
  mkdirSync(savepoints, { mode: 0o750 });
  mkdirSync(remote, { mode: 0o750 });
  writeFileSync(join(savepoints, "old.savepoint"), "");
  writeFileSync(backups, "", { mode: 0o640 });
  const said = (path: string): string =>
    `${path} belongs to user 0, and ${data} to user ${nobody}, who may not touch it: sudo chown -hR ${nobody}:${nobody} ${path}`;
  const commands = [
    { command: ["savepoint", "create", "x", "--data", data], path: savepoints },
    { command: ["savepoint", "list", "--data", data], path: savepoints },
    { command: ["remote", "status", "-c", configure(place, afar)], path: remote },
    { command: ["backup", "--list", "--data", data], path: backups },
    { command: ["store", "erase", "--device", "x", "-c", configure(place, "")], path: backups },
  ];
  for (const { command, path } of commands) {
    const { code, error } = await weir(...command);
    assert.equal(code, 1, command.join(" "));
    const lines = error.split("\n").filter((line) => !/warning|as the owner/.test(line));
    assert.deepEqual(lines, [`weir: ${said(path)}`, ""], command.join(" "));
  }
  const doctor = await weir("doctor", "-c", configure(place, afar));
  assert.match(doctor.out, new RegExp(`FAULT +configuration +\\S+: ${said(remote)}\n`));
  const made = await weir("backup", join(home, "backup"), "--data", data);
  assert.equal(made.code, 0, made.output);
  assert.ok(made.error.includes(`could not note that there is a backup in`), made.error);
  assert.ok(made.error.includes(said(backups)), made.error);
  assert.equal(statSync(backups).uid, 0);
  linkSync(backups, join(home, "elsewhere"));
  const { error } = await weir("backup", "--list", "--data", data);
  assert.match(error, /who may not touch it; it has 2 names \(hard links\), and may be/);
  assert.doesNotMatch(error, /chown/);
});
