import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compilePatterns, patternProblem } from "./topic-rights.ts";

function rights(patterns: readonly string[], identity = { user: "pump", client: "c1" } as const) {
  return compilePatterns(patterns, identity)!;
}

describe("a topic", () => {
  const allowed: [pattern: string, topic: string, may: boolean][] = [
    ["plant/#", "plant", true],
    ["plant/#", "plant/a/b", true],
    ["plant/#", "plants/a", false],
    ["plant/+/state", "plant/a/state", true],
    ["plant/+/state", "plant//state", true],
    ["plant/+/state", "plant/a/b/state", false],
    ["plant/+/state", "plant/a", false],
    ["plant/+/state", "plant/a/state/", false],
    ["+", "plant", true],
    ["+", "/plant", false],
    ["/+", "/plant", true],
    ["#", "a//b", true],
    ["#", "$SYS/load", false],
    ["+/load", "$SYS/load", false],
    ["$SYS/#", "$SYS/load", true],
    ["plant/#", "plant/+", false],
    ["plant/#", "plant/#", false],
    ["plant/#", "plant/\0", false],
    ["#", "", false],
    ["plant/{user}/#", "plant/pump/a", true],
    ["plant/{user}/#", "plant/pumps/a", false],
    ["plant/{client}", "plant/c1", true],
    ["plant/{client}", "plant/{client}", false],
  ];
  for (const [pattern, topic, may] of allowed) {
    it(`${JSON.stringify(topic)} is ${may ? "" : "not "}allowed by ${pattern}`, () => {
      assert.equal(rights([pattern]).allowsTopic(topic), may);
    });
  }
});

describe("a filter", () => {
  const allowed: [pattern: string, filter: string, may: boolean][] = [
    ["plant/#", "plant/#", true],
    ["plant/#", "plant", true],
    ["plant/#", "plant/+/state", true],
    ["plant/#", "#", false],
    ["plant/#", "+/a", false],
    ["plant/#", "+/#", false],
    ["plant/+", "plant/a", true],
    ["plant/+", "plant/+", true],
    ["plant/+", "plant/#", false],
    ["plant/+/#", "plant/#", false],
    ["plant/+/#", "plant/+", true],
    ["plant/+/#", "plant/+/+/#", true],
    ["plant/a", "plant/+", false],
    ["plant/a", "plant/a/#", false],
    ["#", "#", true],
    ["#", "+/+", true],
    ["#", "$SYS/#", false],
    ["+/#", "$SYS/#", false],
    ["#", "$share/group/#", true],
    ["#", "$share/group/$SYS/#", false],
    ["plant/#", "$share/group/plant/a", true],
    ["plant/#", "$share/group/#", false],
    ["plant/#", "$share/plant/#", false],
    ["plant/#", "$share//plant/a", false],
    ["plant/#", "$share/+/plant/a", false],
    ["plant/#", "$share/group", false],
    ["plant/#", "$share/group/", false],
    ["#", "a#", false],
    ["#", "#/a", false],
    ["#", "a+", false],
    ["#", "", false],
    ["{user}/#", "+/#", false],
    ["plant/{user}/+", "plant/pump/+", true],
    ["plant/{user}/+", "plant/+/+", false],
  ];
  for (const [pattern, filter, may] of allowed) {
    it(`${JSON.stringify(filter)} is ${may ? "" : "not "}allowed by ${pattern}`, () => {
      assert.equal(rights([pattern]).allowsFilter(filter), may);
    });
  }

  it("that is allowed matches no topic that is not", () => {
    const level = fc.constantFrom("a", "b", "", "$s");
    const topics = fc.array(level, { minLength: 1, maxLength: 4 });
    const filters = fc
      .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
      .map(([levels, rest]) => (rest || levels.length === 0 ? [...levels, "#"] : levels));
    const joined = fc.tuple(filters, filters, topics);
    fc.assert(
      fc.property(joined, ([pattern, filter, topic]) => {
        const own = rights([pattern.join("/")]);
        const name = topic.join("/");
        if (name === "" || !own.allowsFilter(filter.join("/"))) return;
        if (matches(filter, topic)) assert.equal(own.allowsTopic(name), true);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("a name in a pattern", () => {
  const tricks = ["", "+", "#", "a/b", "a/", "/", "a\0", "plant/#", "+/+"];
  for (const trick of tricks) {
    it(`${JSON.stringify(trick)} never matches`, () => {
      for (const [pattern, identity] of [
        ["plant/{client}/#", { user: "pump", client: trick }],
        ["plant/{user}/#", { user: trick, client: "c1" }],
      ] as const) {
        const own = compilePatterns([pattern], identity)!;
        for (const topic of ["plant/x/y", `plant/${trick}/y`, "plant//y", "plant", "plant/a/b/y"]) {
          assert.equal(own.allowsTopic(topic), false, topic);
          assert.equal(own.allowsFilter(topic), false, topic);
        }
        assert.equal(own.allowsFilter("plant/+/#"), false);
        assert.equal(own.allowsFilter("#"), false);
      }
    });
  }

  it("with $ does not open what is the broker's", () => {
    const own = compilePatterns(["{client}/#"], { user: undefined, client: "$SYS" })!;
    assert.equal(own.allowsTopic("$SYS/load"), false);
    assert.equal(own.allowsFilter("$SYS/#"), false);
    const within = compilePatterns(["plant/{client}"], { user: undefined, client: "$SYS" })!;
    assert.equal(within.allowsTopic("plant/$SYS"), true);
  });

  it("that is not known matches nothing, whatever else is allowed", () => {
    const own = compilePatterns(["plant/{user}/#", "open/#"], { user: undefined, client: "c1" })!;
    assert.equal(own.allowsTopic("plant/undefined/a"), false);
    assert.equal(own.allowsTopic("plant//a"), false);
    assert.equal(own.allowsTopic("open/a"), true);
  });
});

it("no list allows everything, an empty one nothing", () => {
  assert.equal(compilePatterns(undefined, { user: "a", client: "b" }), undefined);
  assert.equal(rights([]).allowsTopic("a"), false);
  assert.equal(rights([]).allowsFilter("a"), false);
});

it("a pattern that cannot mean anything is told why", () => {
  const wrong = ["", "a/#/b", "a#", "a+", "a/{user}x", "{name}", "$share/g/a", "a\0"];
  for (const pattern of wrong) assert.notEqual(patternProblem(pattern), undefined, pattern);
  for (const pattern of ["#", "a/+/#", "/", "{user}", "plant/{client}/+", "$SYS/#"]) {
    assert.equal(patternProblem(pattern), undefined, pattern);
  }
});

/** Matching as the specification says it, level by level, written apart. */
function matches(filter: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]!.startsWith("$") && (filter[0] === "+" || filter[0] === "#")) return false;
  if (filter.at(-1) === "#") {
    const head = filter.slice(0, -1);
    return topic.length >= head.length && head.every((f, i) => f === "+" || f === topic[i]);
  }
  return filter.length === topic.length && filter.every((f, i) => f === "+" || f === topic[i]);
}
