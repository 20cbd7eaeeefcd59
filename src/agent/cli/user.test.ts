import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdtempDisposableSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { systemHashing } from "../doors/hashing.ts";
import { systemUsersFile, writeUsersFile } from "../doors/users-file.ts";
import { parseUsersFile } from "../ingest/mqtt/access/users-file-text.ts";
import { Users } from "../ingest/mqtt/access/users.ts";
import { run } from "./user.ts";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

function weir(args: readonly string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, "user", ...args], {
    input,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("weir user", () => {
  it("adds, lists, changes and removes, in a file that only its owner reads", async () => {
    using scratch = folder();
    const file = join(scratch.path, "users.weir");
    const args = ["--file", file, "--password-stdin"];
    assert.equal(weir(["add", "pump", ...args], "first\n").status, 0);
    assert.equal(weir(["add", "valve", ...args], "other\r\nmore\n").status, 0);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(weir(["list", "--file", file]).stdout, "pump\nvalve\n");
    assert.deepEqual(await rights(file), ["first", "other"]);
    assert.equal(weir(["passwd", "pump", ...args], "second\n").status, 0);
    assert.deepEqual(await rights(file), ["second", "other"]);
    assert.equal(weir(["remove", "pump", "--file", file]).status, 0);
    assert.equal(weir(["list", "--file", file, "--json"]).stdout, '{"users":["valve"]}\n');
    const text = readFileSync(file, "utf8");
    assert.doesNotMatch(text, /first|second|other/);
    assert.match(text, /\nvalve:scrypt\$16384\$8\$1\$/);
  });

  it("finds the file by the configuration", async () => {
    using scratch = folder();
    const config = join(scratch.path, "weir.yaml");
    const source = 'version: 1\nsources: [{ name: s, topics: ["s/{d}"] }]\n';
    writeFileSync(config, `${source}mqtt: { usersFile: etc.users }\n`);
    const added = weir(["add", "pump", "-c", config, "--password-stdin"], "p\n");
    assert.equal(added.status, 0, added.stderr);
    assert.match(readFileSync(join(scratch.path, "etc.users"), "utf8"), /^pump:/m);
    writeFileSync(config, source);
    await assert.rejects(run(["list", "-c", config]), {
      name: "UsageError",
      message: /has no mqtt\.usersFile: set it, or say --file/,
    });
  });

  it("says what is wrong, and changes nothing then", async () => {
    using scratch = folder();
    const file = join(scratch.path, "users.weir");
    const args = ["--file", file, "--password-stdin"];
    weir(["add", "pump", ...args], "p\n");
    const before = readFileSync(file, "utf8");
    for (const [words, why] of [
      [["add", "pump", ...args], /there is a user pump already/],
      [["passwd", "valve", ...args], /there is no user valve/],
      [["remove", "valve", "--file", file], /there is no user valve/],
      [["add", "a:b", ...args], /holds a colon/],
      [["add", "*", ...args], /stands for all names/],
      [["add", "valve", "secret", ...args], /wants one user name/],
      [["add", ...args], /wants one user name/],
      [["list", "pump", "--file", file], /wants no name/],
      [["other", ...args], /say one of add, passwd, remove, list, hash/],
    ] as const) {
      await assert.rejects(run(words), { name: "UsageError", message: why });
    }
    for (const [words, input, why] of [
      [["add", "valve", ...args], "\n", /password is empty/],
      [["add", "valve", "--file", file], "q\n", /use --password-stdin/],
    ] as const) {
      const { status, stderr } = weir(words, input);
      assert.equal(status, 2, stderr);
      assert.match(stderr, why);
    }
    assert.equal(readFileSync(file, "utf8"), before);
    writeFileSync(file, `${before}broken\n`);
    await assert.rejects(run(["add", "valve", ...args]), {
      code: "USERS_FILE_UNUSABLE",
      message: /line 4 is no user.*mend it/,
    });
  });

  it("hash prints what the configuration takes", async () => {
    const { stdout } = weir(["hash", "--password-stdin"], "right\n");
    const users = new Users({
      configured: [{ name: "a", passwordHash: stdout.trim() }],
      hashing: systemHashing,
      random: seededRandom(1),
    });
    assert.equal((await users.verify("a", Buffer.from("right"))).kind, "right");
  });
});

describe("the file of users", () => {
  it("is read when it changed, and only then", async () => {
    using scratch = folder();
    const path = join(scratch.path, "users.weir");
    const file = systemUsersFile(path);
    assert.equal((await file.read()).kind, "missing");
    await writeUsersFile(path, "weir-users 1\n");
    assert.deepEqual(await file.read(), { kind: "text", text: "weir-users 1\n" });
    assert.equal((await file.read()).kind, "unchanged");
    await writeUsersFile(path, "weir-users 1\n");
    assert.equal((await file.read()).kind, "text");
    writeFileSync(path, "x".repeat(1_048_577));
    assert.deepEqual(await file.read(), { kind: "unreadable", why: "it is too long" });
    assert.deepEqual(await systemUsersFile(scratch.path).read(), {
      kind: "unreadable",
      why: "it is no file",
    });
  });

  it("is read by its group where its folder gives its group away, and where it was before", async () => {
    using scratch = folder();
    const path = join(scratch.path, "users.weir");
    const write = async (): Promise<number> => {
      await writeUsersFile(path, "weir-users 1\n");
      return statSync(path).mode & 0o777;
    };
    assert.equal(await write(), 0o600);
    chmodSync(scratch.path, 0o2750);
    assert.equal(await write(), 0o600, "as it was before");
    rmSync(path);
    assert.equal(await write(), 0o640);
    chmodSync(scratch.path, 0o750);
    assert.equal(await write(), 0o640, "as it was before");
  });

  it("cannot be written where the folder is missing, and says so", async () => {
    using scratch = folder();
    await assert.rejects(writeUsersFile(join(scratch.path, "none", "users"), ""), {
      code: "USERS_FILE_UNUSABLE",
      message: /cannot be written \(ENOENT\): check the path/,
    });
  });
});

function folder() {
  return mkdtempDisposableSync(join(tmpdir(), "weir-users-"));
}

/** The passwords that are right for pump and valve. */
async function rights(file: string): Promise<readonly string[]> {
  const users = new Users({ configured: [], hashing: systemHashing, random: seededRandom(1) });
  users.replaceFileUsers(parseUsersFile(readFileSync(file, "utf8")).users);
  const right: string[] = [];
  for (const name of ["pump", "valve"]) {
    for (const password of ["first", "second", "other"]) {
      const { kind } = await users.verify(name, Buffer.from(password));
      if (kind === "right") right.push(password);
    }
  }
  return right;
}
