import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { Subscriptions } from "./subscriptions.ts";

const word = fc.constantFrom("a", "b", "", "$x");
const topic = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join("/"));
const filter = fc
  .tuple(fc.array(fc.oneof(word, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([words, rest]) => [...words, ...(rest ? ["#"] : [])].join("/"));

/** MQTT 3.1.1, 4.7, as a regular expression. */
function matches(pattern: string, name: string): boolean {
  if (name.startsWith("$") && /^[+#]/.test(pattern)) return false;
  const source = pattern
    .replaceAll("$", "\\$")
    .replaceAll("+", "[^/]*")
    .replace(/^#$/, ".*")
    .replace(/\/#$/, "(/.*)?");
  return new RegExp(`^${source}$`).test(name);
}

it("answers as the specification does, after any additions and removals", () => {
  const changes = fc.array(fc.tuple(filter, fc.boolean()), { maxLength: 20 });
  fc.assert(
    fc.property(changes, fc.array(topic, { maxLength: 10 }), (steps, topics) => {
      const subscriptions = new Subscriptions();
      const model: string[] = [];
      for (const [pattern, add] of steps) {
        const at = model.indexOf(pattern);
        const before = subscriptions.version;
        if (add) {
          subscriptions.add(pattern);
          model.push(pattern);
        } else {
          subscriptions.remove(pattern);
          if (at >= 0) model.splice(at, 1);
        }
        const changed = add ? at < 0 : at >= 0 && !model.includes(pattern);
        assert.equal(subscriptions.version !== before, changed);
      }
      assert.equal(subscriptions.size, model.length);
      for (const name of topics) {
        const expected = model.some((pattern) => matches(pattern, name));
        assert.equal(subscriptions.matches(name), expected, `${name} in ${model.join(" ")}`);
      }
    }),
    { numRuns: 500 },
  );
});
