import assert from "node:assert/strict";
import { it } from "node:test";
import { assertSecured, createUsers } from "./users.ts";

const users = createUsers([
  { name: "sensor", password: "right" },
  { name: "empty", password: "" },
]);

it("a user has one password", async () => {
  assert.equal(await users.verify("sensor", Buffer.from("right")), true);
  assert.equal(await users.verify("sensor", Buffer.from("wrong")), false);
  assert.equal(await users.verify("sensor", Buffer.from("")), false);
  assert.equal(await users.verify("empty", Buffer.from("")), true);
  assert.equal(await users.verify("nobody", Buffer.from("")), false);
  assert.equal(await users.verify("nobody", Buffer.from("right")), false);
});

it("a listener that others reach needs users, or the word anonymous", () => {
  const nobody = createUsers([]);
  assert.throws(() => assertSecured({ host: "0.0.0.0", anonymous: false, users: nobody }), {
    code: "LISTENER_NOT_SECURED",
    message: /0\.0\.0\.0.*add users/,
  });
  assertSecured({ host: "0.0.0.0", anonymous: true, users: nobody });
  assertSecured({ host: "0.0.0.0", anonymous: false, users });
  assertSecured({ host: "127.0.0.1", anonymous: false, users: nobody });
});
