import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { matchTopic, parseTemplate, type TopicTemplate } from "../ingest/topic-template.ts";
import { templatesOverlap } from "./template-overlap.ts";

function template(text: string): TopicTemplate {
  const parsed = parseTemplate(text);
  assert.ok(parsed.kind === "template");
  return parsed.template;
}

test("templates overlap when their plain words agree", () => {
  const overlap = (a: string, b: string): boolean => templatesOverlap(template(a), template(b));
  assert.equal(overlap("plant/{line}/state", "plant/a/+"), true);
  assert.equal(overlap("plant/{line}/state", "plant/{line}/cbor"), false);
  assert.equal(overlap("plant/#", "plant/a/b/c"), true);
  assert.equal(overlap("plant/#", "plant"), true);
  assert.equal(overlap("a/b", "a/b/c"), false);
  assert.equal(overlap("$SYS/#", "#"), false);
  assert.equal(overlap("$SYS/#", "$SYS/a"), true);
});

test("templates that share a topic are seen to overlap", () => {
  const level = fc.constantFrom("a", "b", "+", "{metric}");
  const levels = fc.array(level, { minLength: 1, maxLength: 3 });
  const text = fc
    .tuple(levels, fc.boolean())
    .map(([parts, rest]) => [...parts, ...(rest ? ["#"] : [])].join("/"))
    .filter((candidate) => candidate.split("{metric}").length <= 2);
  const topic = fc
    .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join("/"));
  fc.assert(
    fc.property(text, text, topic, (first, second, name) => {
      const [a, b] = [template(first), template(second)];
      fc.pre(matchTopic(a, name) !== undefined && matchTopic(b, name) !== undefined);
      assert.equal(templatesOverlap(a, b), true);
    }),
  );
});
