import assert from "node:assert/strict";
import { test } from "node:test";
import { matchTopic, parseTemplate, type TopicMatch } from "./topic-template.ts";

function match(template: string, topic: string): TopicMatch | undefined {
  const parse = parseTemplate(template);
  assert.equal(parse.kind, "template");
  return parse.kind === "template" ? matchTopic(parse.template, topic) : undefined;
}

test("named levels become tags, sorted by name, and {metric} the metric", () => {
  assert.deepEqual(match("plant/{line}/{device}/{metric}", "plant/a/p1/temp"), {
    tags: [
      ["device", "p1"],
      ["line", "a"],
    ],
    metric: "temp",
  });
});

test("+ matches one level and # the rest, also none", () => {
  assert.deepEqual(match("a/+/{d}/#", "a/x/y"), { tags: [["d", "y"]], metric: undefined });
  assert.deepEqual(match("a/+/{d}/#", "a/x/y/z/w"), { tags: [["d", "y"]], metric: undefined });
  assert.equal(match("a/+/{d}", "a/x"), undefined);
  assert.equal(match("a/{d}", "a/x/y"), undefined);
});

test("an empty level is a level, but it names nothing", () => {
  assert.deepEqual(match("a/+/c", "a//c"), { tags: [], metric: undefined });
  assert.equal(match("a/{d}/c", "a//c"), undefined);
});

test("topics of the broker are matched only by name", () => {
  assert.equal(match("#", "$SYS/uptime"), undefined);
  assert.equal(match("{a}/uptime", "$SYS/uptime"), undefined);
  assert.deepEqual(match("$SYS/{metric}", "$SYS/uptime"), { tags: [], metric: "uptime" });
});

test("a template that cannot be meant is refused with a sentence", () => {
  for (const text of ["", "a/#/b", "a/{x}{y}", "a/{x}/{x}", "a/b+", "a/{metric}/{metric}", "{1}"]) {
    const parse = parseTemplate(text);
    assert.equal(parse.kind, "invalid", text);
    if (parse.kind === "invalid") assert.match(parse.message, /cannot be used: .+\.$/);
  }
});
