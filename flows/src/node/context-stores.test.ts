import assert from "node:assert/strict";
import { test } from "node:test";
import { isMemory } from "./context-stores.ts";

test("a context store is one in memory as Node-RED chooses it from settings.js", () => {
  const memory = { module: "memory" };
  const file = { module: "localfilesystem" };
  const cases: readonly (readonly [object | undefined, string, boolean])[] = [
    [undefined, "", true],
    [{}, "file", true],
    [{ default: memory, file }, "", true],
    [{ default: memory, file }, "file", false],
    [{ default: memory, file }, "gone", true],
    [{ default: file }, "", false],
    [{ default: "disk", disk: file, quick: memory }, "", false],
    [{ default: "disk", disk: file, quick: memory }, "quick", true],
    [{ default: "quick", disk: file, quick: memory }, "", true],
    [{ quick: memory, disk: file }, "", true],
    [{ disk: file, quick: memory }, "", false],
    // A module that somebody wrote: nobody knows, so nothing is said.
    [{ default: { module: () => undefined } }, "", false],
  ];
  for (const [stores, store, expected] of cases) {
    assert.equal(isMemory(stores, store), expected, `${JSON.stringify(stores)} ${store}`);
  }
});
