import assert from "node:assert/strict";
import { it } from "node:test";
import { KeptSessions } from "./kept-sessions.ts";

it("a session is known from the second time on, until it ends", () => {
  const sessions = new KeptSessions({ countMax: 10 });
  assert.equal(sessions.arrive("a"), false);
  assert.equal(sessions.arrive("a"), true);
  assert.equal(sessions.arrive("b"), false);
  sessions.end("a");
  assert.equal(sessions.arrive("a"), false);
});

it("over its bound the one that connected longest ago is forgotten", () => {
  const sessions = new KeptSessions({ countMax: 2 });
  for (const name of ["a", "b", "a", "c"]) sessions.arrive(name);
  assert.equal(sessions.arrive("a"), true);
  assert.equal(sessions.arrive("b"), false);
});

it("names of any length do no harm", () => {
  const sessions = new KeptSessions({ countMax: 2 });
  const long = "x".repeat(60_000);
  assert.equal(sessions.arrive(long), false);
  assert.equal(sessions.arrive(long), false);
});
