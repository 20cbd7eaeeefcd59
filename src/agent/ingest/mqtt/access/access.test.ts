import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cheapHash,
  cheapHashText,
  countingHashing,
  MemoryUsersFile,
} from "../../../../../test/support/access-rig.ts";
import { seededRandom } from "../../../../../test/support/seeded-random.ts";
import { ManualClock } from "../../../../../test/support/simulated-net.ts";
import { type AccessOptions, type LoginRequest, assertSecured, openAccess } from "./access.ts";

async function open(options: Partial<AccessOptions> = {}) {
  const clock = new ManualClock();
  const hashing = countingHashing();
  const access = await openAccess({
    config: { anonymous: false, users: [] },
    clock,
    hashing,
    random: seededRandom(1),
    ...options,
  });
  const login = async (
    name: string | undefined,
    password = "",
    changes: Partial<LoginRequest> = {},
  ) => {
    return await access.login({
      name,
      password: Buffer.from(password),
      clientId: "c1",
      address: "10.0.0.1",
      certificate: undefined,
      will: undefined,
      ...changes,
    });
  };
  const code = async (...args: Parameters<typeof login>) => {
    const admission = await login(...args);
    return admission.kind === "refused" ? admission.code : "in";
  };
  return { access, clock, hashing, login, code };
}

const oneUser = async () => ({
  anonymous: false,
  users: [
    { name: "a", passwordHash: await cheapHashText("right") },
    { name: "b", passwordHash: await cheapHashText("right") },
  ],
});

describe("who comes in", () => {
  it("is a user with the right password; without users it is everyone", async () => {
    const locked = await open({ config: await oneUser() });
    assert.equal(await locked.code("a", "right"), "in");
    assert.equal(await locked.code("a", "wrong"), 4);
    assert.equal(await locked.code("nobody", "right"), 4);
    assert.equal(await locked.code(undefined), 5);
    const openToAll = await open();
    assert.equal(await openToAll.code(undefined), "in");
    assert.equal(await openToAll.code("a", "whatever"), "in");
  });

  it("is somebody with a certificate, as the name in it", async () => {
    const { login } = await open({
      config: {
        ...(await oneUser()),
        certificates: [
          { name: "pump", publish: ["plant/{user}/#"], subscribe: [] },
          { name: "*", publish: [], subscribe: [] },
        ],
      },
    });
    const pump = await login(undefined, "", { certificate: "pump" });
    assert.ok(pump.kind === "admitted");
    assert.equal(pump.credential.name, "pump");
    assert.equal(pump.credential.rights?.mayPublish("plant/pump/a"), true);
    assert.equal(pump.credential.rights?.maySubscribe("plant/pump/a"), false);
    const other = await login(undefined, "", { certificate: "other" });
    assert.ok(other.kind === "admitted");
    assert.equal(other.credential.rights?.mayPublish("plant/other/a"), false);
  });

  it("is the user, where somebody with a certificate says a user name", async () => {
    const { login, code } = await open({ config: await oneUser() });
    assert.equal(await code("a", "wrong", { certificate: "pump" }), 4);
    const admission = await login("a", "right", { certificate: "pump" });
    assert.ok(admission.kind === "admitted");
    assert.equal(admission.credential.name, "a");
  });

  it("needs no password, where the user name is that of the certificate, and is nobody else without users", async () => {
    const { login, code } = await open({ config: await oneUser() });
    const admission = await login("pump", "", { certificate: "pump" });
    assert.ok(admission.kind === "admitted");
    assert.deepEqual([admission.credential.name, admission.credential.user], ["pump", undefined]);
    const none = await open({ config: { anonymous: false, users: [] } });
    assert.equal(await none.code("pump", "", { certificate: "pump" }), "in");
    assert.equal(await none.code("other", "", { certificate: "pump" }), 4);
    assert.equal(await code("a", "", { certificate: "pump" }), 4);
  });

  it("never is a name that nobody verified", async () => {
    const { login } = await open({
      config: {
        anonymous: true,
        users: [],
        anonymousRights: { publish: ["plant/{user}/#"], subscribe: ["open/#"] },
      },
    });
    const admission = await login("admin", "x");
    assert.ok(admission.kind === "admitted");
    assert.equal(admission.credential.name, undefined);
    assert.equal(admission.credential.rights?.mayPublish("plant/admin/a"), false);
    assert.equal(admission.credential.rights?.maySubscribe("open/a"), true);
  });
});

describe("failed logins", () => {
  const limits = { loginFailuresMax: 3, loginFailureMs: 1_000 };

  it("from one address are refused without a hash after a few, then one at a time", async () => {
    const { code, hashing, clock } = await open({ config: await oneUser(), limits });
    for (const name of ["x", "y", "z"]) assert.equal(await code(name, "wrong"), 4);
    assert.equal(await code("a", "right"), 5);
    assert.equal(await code("w", "wrong"), 5);
    assert.equal(hashing.costs.length, 3);
    assert.equal(await code("a", "right", { address: "10.0.0.2" }), "in");
    clock.advance(1_000);
    assert.equal(await code("w", "wrong"), 4);
    assert.equal(await code("w", "wrong"), 5);
  });

  it("for one name are refused from every address", async () => {
    const { code, hashing } = await open({ config: await oneUser(), limits });
    for (const n of [1, 2, 3]) await code("a", "wrong", { address: `10.0.1.${n}` });
    assert.equal(await code("a", "right", { address: "10.0.1.9" }), 5);
    assert.equal(hashing.costs.length, 3);
  });

  it("elsewhere do not lock out a device that was right before", async () => {
    const { code } = await open({ config: await oneUser(), limits });
    assert.equal(await code("a", "right", { address: "10.0.0.9" }), "in");
    for (const n of [1, 2, 3, 4]) await code("a", "wrong", { address: `10.0.1.${n}` });
    for (const name of ["b", "b", "b", "b"]) await code(name, "wrong", { address: "10.0.0.9" });
    assert.equal(await code("a", "right", { address: "10.0.0.9" }), "in");
  });

  it("of a device that was right before are few as well, remembered password or not", async () => {
    const { code } = await open({ config: await oneUser(), limits });
    assert.equal(await code("a", "right"), "in");
    for (const n of [1, 2, 3]) assert.equal(await code("a", `wrong ${n}`), 4);
    assert.equal(await code("a", "right"), 5);
  });

  it("count by the network for IPv6, and by the address for IPv4 within it", async () => {
    const { code } = await open({ config: await oneUser(), limits });
    for (const host of ["2001:db8:0:1::1", "2001:db8::1:0:0:0:2", "2001:0db8:0:1:9::"]) {
      assert.equal(await code(`n ${host}`, "wrong", { address: host }), 4);
    }
    assert.equal(await code("a", "right", { address: "2001:db8:0:1:ffff::" }), 5);
    assert.equal(await code("a", "right", { address: "2001:db8:0:2::1" }), "in");
    assert.equal(await code("b", "wrong", { address: "::ffff:10.0.0.1" }), 4);
    assert.equal(await code("b", "right", { address: "10.0.0.7" }), "in");
  });

  it("from more addresses than are remembered forget the longest quiet one", async () => {
    const { code } = await open({
      config: await oneUser(),
      limits: { ...limits, loginFailureEntriesMax: 2 },
    });
    for (const n of [1, 1, 1, 2, 3]) await code(`n${n}`, "wrong", { address: `10.0.0.${n}` });
    assert.equal(await code("x", "wrong", { address: "10.0.0.1" }), 4);
  });

  it("are kept for a person to see, alike ones as one, never with a password", async () => {
    const { access, code, clock } = await open({ config: await oneUser() });
    await code("a", "secret-1");
    await code("a", "secret-2");
    await code("evil\nname\u001b[2J", "secret-3");
    clock.advance(10_000);
    await code("a", "secret-4");
    const events = access.events.after(0);
    assert.deepEqual(
      events.map(({ kind, user, count }) => [kind, user, count]),
      [
        ["login_failed", "a", 2],
        ["login_failed", "evil?name?[2J", 1],
        ["login_failed", "a", 1],
      ],
    );
    assert.doesNotMatch(JSON.stringify([events, access.counters]), /secret/);
    assert.deepEqual(access.events.worstAddress(), { address: "10.0.0.1", count: 4 });
    assert.equal(access.counters.loginsFailed, 4);
    assert.deepEqual(access.events.after(events[1]!.number).length, 1);
    clock.advance(600_001);
    assert.equal(access.events.worstAddress(), undefined);
  });

  it("fill no more than their ring", async () => {
    const { access, code } = await open({
      config: await oneUser(),
      limits: { securityEventsMax: 5, loginFailuresMax: 1_000 },
    });
    for (let n = 0; n < 20; n++) await code(`n${n}`, "wrong");
    assert.deepEqual(
      access.events.after(0).map(({ user }) => user),
      ["n15", "n16", "n17", "n18", "n19"],
    );
  });
});

describe("a login whose client is gone when its turn comes", () => {
  it("is not hashed, unless somebody else waits with the same credentials", async () => {
    const { login, hashing, access } = await open({
      config: await oneUser(),
      limits: { passwordChecksMax: 1 },
    });
    hashing.hold();
    let gone = false;
    const first = login("a", "wrong");
    const leaves = { isGone: () => gone };
    const left = login("b", "wrong", leaves);
    const [dropped, stays] = [login("b", "right", leaves), login("b", "right")];
    await new Promise((resolve) => setImmediate(resolve));
    gone = true;
    hashing.release();
    assert.deepEqual(await left, { kind: "refused", code: 3 });
    assert.equal((await stays).kind, "admitted");
    await Promise.all([first, dropped]);
    assert.equal(hashing.costs.length, 2);
    assert.equal(access.counters.loginsLimited, 0);
  });
});

describe("the file of users", () => {
  it("is read before anyone may log in, and again when it changes", async () => {
    const usersFile = new MemoryUsersFile();
    usersFile.setUsers([{ name: "a", hash: await cheapHash("old") }]);
    const { access, code, clock } = await open({ usersFile });
    let revoked = 0;
    access.onRevoked(() => (revoked += 1));
    assert.equal(await code("a", "old"), "in");
    assert.equal(await code(undefined), 5);
    usersFile.setUsers([
      { name: "a", hash: await cheapHash("new") },
      { name: "b", hash: await cheapHash("of b") },
    ]);
    assert.equal(await code("b", "of b"), 4);
    await look(clock);
    assert.equal(await code("a", "old"), 4);
    assert.equal(await code("a", "new"), "in");
    assert.equal(await code("b", "of b"), "in");
    assert.equal(revoked, 1);
    access.close();
  });

  it("that is missing has no users, and says so; nobody comes in", async () => {
    const { access, code } = await open({ usersFile: new MemoryUsersFile() });
    assert.equal(await code(undefined), 5);
    assert.equal(await code("a", ""), 4);
    assert.match(access.status.problem ?? "", /users\.weir is not there.*weir user add/);
  });

  it("that cannot be read at the start lets nobody in, and says so", async () => {
    const usersFile = new MemoryUsersFile();
    usersFile.set({ kind: "unreadable", why: "EIO" });
    const { access, code, clock } = await open({ usersFile });
    assert.equal(await code("a", "right"), 4);
    assert.match(access.status.problem ?? "", /\(EIO\): none of its users may log in/);
    usersFile.set({ kind: "text", text: `weir-users 1\na:${await cheapHashText("right")}\n` });
    await look(clock);
    assert.equal(await code("a", "right"), "in");
    usersFile.set({ kind: "unreadable", why: "EIO" });
    await look(clock);
    assert.match(access.status.problem ?? "", /\(EIO\): its users stay as they were/);
  });

  it("that is damaged later leaves the users as they were; at the start the right lines count", async () => {
    const usersFile = new MemoryUsersFile();
    const text = `weir-users 1\n\n# a comment\na:${await cheapHashText("right")}\nb:broken\n`;
    usersFile.set({ kind: "text", text });
    const { access, code, clock } = await open({ usersFile });
    assert.equal(await code("a", "right"), "in");
    assert.match(access.status.problem ?? "", /line 5 is no user; the others may log in/);
    for (const broken of ["", "weir-users 2\n", "weir-users 1\nx\n"]) {
      usersFile.set({ kind: "text", text: broken });
      await look(clock);
      assert.equal(await code("a", "right"), "in");
      assert.match(access.status.problem ?? "", /stay as they were/);
    }
    usersFile.set({ kind: "unreadable", why: "EIO" });
    await look(clock);
    assert.equal(await code("a", "right"), "in");
    usersFile.setUsers([]);
    await look(clock);
    assert.equal(access.status.problem, undefined);
    assert.equal(await code("a", "right"), 4);
  });

  it("gives its users the rights that the configuration has for them", async () => {
    const usersFile = new MemoryUsersFile();
    const hash = await cheapHash("right");
    usersFile.setUsers([
      { name: "a", hash },
      { name: "b", hash },
    ]);
    const { login } = await open({
      usersFile,
      config: {
        anonymous: false,
        users: [
          { name: "a", publish: ["only/a"] },
          { name: "*", publish: ["plant/{user}"] },
        ],
      },
    });
    const [a, b] = [await login("a", "right"), await login("b", "right")];
    assert.ok(a.kind === "admitted" && b.kind === "admitted");
    assert.equal(a.credential.rights?.mayPublish("only/a"), true);
    assert.equal(a.credential.rights?.mayPublish("plant/a"), false);
    assert.equal(b.credential.rights?.mayPublish("plant/b"), true);
    assert.equal((await login("*", "right")).kind, "refused");
  });

  async function look(clock: ManualClock): Promise<void> {
    clock.advance(2_000);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
});

it("a listener that others reach needs users, certificates, or the word anonymous", () => {
  const bare = { host: "0.0.0.0", anonymous: false, hasUsers: false };
  assert.throws(() => assertSecured(bare), {
    code: "LISTENER_NOT_SECURED",
    message: /0\.0\.0\.0.*add users/,
  });
  assertSecured({ ...bare, anonymous: true });
  assertSecured({ ...bare, hasUsers: true });
  assertSecured({ ...bare, certificateRequired: true });
  assertSecured({ ...bare, host: "127.0.0.1" });
});
