import assert from "node:assert/strict";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";

test("a command never goes into a topic that has records", async () => {
  for (const topic of [
    "weir.summaries",
    "weir.alerts",
    "weir.raw",
    "weir.cursor",
    "weir.savepoints",
  ]) {
    const where = ["--kafka", "127.0.0.1:1", "--topic", topic, "--agent", "gw1"];
    const { code, error } = await weir("raw", "ask", "*", ...where);
    assert.equal(code, 2, error);
    assert.match(error, new RegExp(`records go to ${topic}: commands need a topic of their own`));
  }
});

test("what would be over before anybody reads it is not sent", async () => {
  const where = ["--kafka", "127.0.0.1:1", "--topic", "commands", "--agent", "gw1"];
  for (const expires of ["-1h", "2026-01-01"]) {
    const { code, error } = await weir("raw", "ask", "*", ...where, "--expires", expires);
    assert.equal(code, 2, error);
    assert.match(
      error,
      new RegExp(`--expires ${expires} is over: .*say a time to come, such as 2`),
    );
  }
});
