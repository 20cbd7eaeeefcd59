import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  cheap,
  cheapHash,
  cheapHashText,
  countingHashing,
} from "../../../../../test/support/access-rig.ts";
import { seededRandom } from "../../../../../test/support/seeded-random.ts";
import { systemHashing } from "../../../doors/hashing.ts";
import { hashPassword, passwordHashText, scryptCost } from "./password-hash.ts";
import { type ConfiguredUser, Users, type UsersOptions } from "./users.ts";

function usersOf(
  configured: readonly ConfiguredUser[],
  options: Partial<UsersOptions> = {},
): Users {
  return new Users({ configured, hashing: systemHashing, random: seededRandom(7), ...options });
}

async function verdict(users: Users, name: string, password: string): Promise<string> {
  return (await users.verify(name, Buffer.from(password))).kind;
}

describe("a password", () => {
  it("is right or wrong, plain or hashed, the empty one too", async () => {
    const users = usersOf([
      { name: "plain", password: "right" },
      { name: "hashed", passwordHash: await cheapHashText("right") },
      { name: "empty", password: "" },
    ]);
    for (const name of ["plain", "hashed"]) {
      assert.equal(await verdict(users, name, "right"), "right");
      for (const wrong of ["wrong", "", "righ", "right "]) {
        assert.equal(await verdict(users, name, wrong), "wrong");
      }
    }
    assert.equal(await verdict(users, "empty", ""), "right");
    assert.equal(await verdict(users, "nobody", ""), "wrong");
    assert.equal(await verdict(users, "nobody", "right"), "wrong");
  });

  it("of one user is not that of another, nor does NUL join the two", async () => {
    const users = usersOf([
      { name: "a", password: "b\0c" },
      { name: "b", passwordHash: await cheapHashText("of b") },
      { name: "c", passwordHash: await cheapHashText("of c") },
    ]);
    assert.equal(await verdict(users, "b", "of b"), "right");
    assert.equal(await verdict(users, "c", "of b"), "wrong");
    assert.equal(await verdict(users, "a\0b", "c"), "wrong");
  });

  it("is known by the hash that weir user writes, at its full cost", async () => {
    const options = { hashing: systemHashing, random: seededRandom(3) };
    const passwordHash = passwordHashText(await hashPassword(Buffer.from("right"), options));
    assert.match(passwordHash, /^scrypt\$16384\$8\$1\$/);
    const users = usersOf([{ name: "a", passwordHash }]);
    assert.equal(await verdict(users, "a", "right"), "right");
    assert.equal(await verdict(users, "a", "wrong"), "wrong");
  });

  it("is known by the vector of RFC 7914", async () => {
    const key = await systemHashing.scrypt(Buffer.from("pleaseletmein"), {
      ...scryptCost,
      salt: Buffer.from("SodiumChloride"),
      bytes: 64,
    });
    assert.match(Buffer.from(key).toString("hex"), /^7023bdcb3afd7348461c06cd81fd38eb/);
  });
});

describe("an unknown name", () => {
  it("is hashed as a wrong password is, at the cost of some user, always the same", async () => {
    const dear = { ...cheap, cost: 32 };
    const hashing = countingHashing();
    const users = usersOf(
      [
        { name: "plain", password: "right" },
        { name: "cheap", passwordHash: passwordHashText(await cheapHash("right")) },
        { name: "dear", passwordHash: passwordHashText(await cheapHash("right", dear)) },
      ],
      { hashing },
    );
    const names = Array.from({ length: 40 }, (_, index) => `nobody-${index}`);
    for (const name of [...names, ...names]) await verdict(users, name, "wrong");
    const [once, again] = [hashing.costs.slice(0, 40), hashing.costs.slice(40)];
    assert.deepEqual(again, once);
    assert.deepEqual(new Set(once.map(({ cost }) => cost)), new Set([16, 32]));
    // A user whose password stands plain in the configuration is no exception.
    await verdict(users, "plain", "wrong");
    assert.equal(hashing.costs.length, 81);
  });

  it("takes about as long as a wrong password", async () => {
    const options = { hashing: systemHashing, random: seededRandom(3) };
    const passwordHash = passwordHashText(await hashPassword(Buffer.from("right"), options));
    const users = usersOf([{ name: "known", passwordHash }]);
    const times: Record<string, number[]> = { known: [], nobody: [] };
    for (let round = 0; round < 8; round++) {
      for (const name of ["known", "nobody"]) {
        const from = performance.now();
        await verdict(users, name, `wrong ${round}`);
        times[name]!.push(performance.now() - from);
      }
    }
    const [known, nobody] = [fastest(times["known"]!), fastest(times["nobody"]!)];
    // Without the decoy it would be a thousandth; the machine may be busy with other things.
    assert.ok(nobody > known / 3 && nobody < known * 3, `${nobody} ms beside ${known} ms`);
  });
});

describe("verified credentials", () => {
  it("are remembered: coming back costs no hash", async () => {
    const hashing = countingHashing();
    const users = usersOf([{ name: "a", passwordHash: await cheapHashText("right") }], { hashing });
    for (let login = 0; login < 1_000; login++) {
      assert.equal(await verdict(users, "a", "right"), "right");
    }
    assert.equal(hashing.costs.length, 1);
    assert.equal(users.recalled, 999);
  });

  it("are remembered of so many only, the longest unused forgotten first", async () => {
    const hashing = countingHashing();
    const configured = await Promise.all(
      ["a", "b", "c"].map(async (name) => ({ name, passwordHash: await cheapHashText(name) })),
    );
    const users = usersOf(configured, { hashing, limits: { credentialsCachedMax: 2 } });
    for (const name of ["a", "b", "a", "c", "a", "b"]) await verdict(users, name, name);
    assert.equal(hashing.costs.length, 4);
  });

  it("do not outlive a change of the password, nor the user", async () => {
    const users = usersOf([]);
    const [old, other] = [await cheapHash("old"), await cheapHash("kept")];
    users.replaceFileUsers([
      { name: "a", hash: old },
      { name: "kept", hash: other },
    ]);
    assert.equal(await verdict(users, "a", "old"), "right");
    assert.equal(await verdict(users, "kept", "kept"), "right");
    const gone = users.replaceFileUsers([
      { name: "a", hash: await cheapHash("new") },
      { name: "kept", hash: other },
    ]);
    assert.deepEqual([...gone], ["a"]);
    assert.equal(await verdict(users, "a", "old"), "wrong");
    assert.equal(await verdict(users, "a", "new"), "right");
    users.replaceFileUsers([{ name: "kept", hash: other }]);
    assert.equal(await verdict(users, "a", "new"), "wrong");
    const before = users.recalled;
    assert.equal(await verdict(users, "kept", "kept"), "right");
    assert.equal(users.recalled, before + 1);
  });

  it("that are hashed while their user changes are wrong", async () => {
    const hashing = countingHashing();
    const users = usersOf([], { hashing });
    users.replaceFileUsers([{ name: "a", hash: await cheapHash("old") }]);
    hashing.hold();
    const login = verdict(users, "a", "old");
    users.replaceFileUsers([{ name: "a", hash: await cheapHash("new") }]);
    hashing.release();
    assert.equal(await login, "wrong");
    assert.equal(await verdict(users, "a", "old"), "wrong");
  });

  it("mean nothing to another boot", async () => {
    const seen: string[] = [];
    for (const seed of [1, 2]) {
      const users = usersOf([{ name: "a", password: "right" }], {
        random: seededRandom(seed),
        hashing: {
          ...systemHashing,
          mac: (key, parts) => {
            const tag = systemHashing.mac(key, parts);
            seen.push(Buffer.from(tag).toString("hex"));
            return tag;
          },
        },
      });
      assert.equal(await verdict(users, "a", "right"), "right");
    }
    assert.equal(new Set(seen).size, 2);
  });
});

describe("logins at the same time", () => {
  it("share one hash where they are equal", async () => {
    const hashing = countingHashing();
    const users = usersOf([{ name: "a", passwordHash: await cheapHashText("right") }], { hashing });
    const logins = Array.from({ length: 50 }, () => verdict(users, "a", "right"));
    assert.deepEqual(new Set(await Promise.all(logins)), new Set(["right"]));
    assert.equal(hashing.costs.length, 1);
  });

  it("are hashed so many at a time, and so many may wait", async () => {
    const hashing = countingHashing();
    const users = usersOf([{ name: "a", passwordHash: await cheapHashText("right") }], {
      hashing,
      limits: { passwordChecksMax: 2, loginsWaitingMax: 3 },
    });
    hashing.hold();
    const logins = Array.from({ length: 7 }, (_, index) => verdict(users, "a", `wrong ${index}`));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(hashing.running, 2);
    assert.equal(users.waiting, 3);
    hashing.release();
    const kinds = await Promise.all(logins);
    assert.deepEqual(kinds, ["wrong", "wrong", "wrong", "wrong", "wrong", "busy", "busy"]);
    assert.equal(hashing.runningMost, 2);
    assert.equal(await verdict(users, "a", "right"), "right");
  });

  it("are asked again whether they may, when their turn comes", async () => {
    const hashing = countingHashing();
    const users = usersOf([{ name: "a", passwordHash: await cheapHashText("right") }], {
      hashing,
      limits: { passwordChecksMax: 1 },
    });
    hashing.hold();
    let may = true;
    const first = users.verify("a", Buffer.from("1"), () => may);
    const second = users.verify("a", Buffer.from("2"), () => may);
    await new Promise((resolve) => setImmediate(resolve));
    may = false;
    hashing.release();
    assert.deepEqual([(await first).kind, (await second).kind], ["wrong", "limited"]);
    assert.equal(hashing.costs.length, 1);
  });
});

function fastest(times: readonly number[]): number {
  return Math.min(...times);
}
