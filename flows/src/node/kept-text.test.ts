/** What a node kept, where a store is slower than a deploy. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { KeptText } from "./kept-text.ts";

test("a store that answers a closed life late takes nothing from what a later one kept", async () => {
  const here = new Map<string, string>();
  let answer = (): void => undefined;
  const node = {
    id: "n",
    warn: () => assert.fail("nothing fails"),
    context: () => ({
      get: (
        _key: string,
        _store: string | undefined,
        callback: (error: undefined, value: unknown) => void,
      ) => {
        answer = () => callback(undefined, "old");
      },
      set: () => assert.fail("nothing is saved"),
    }),
  };
  const loading = new KeptText({ node, name: "weir", store: "", here }).load();
  here.set("n", "new");
  answer();
  assert.equal(await loading, "old");
  assert.equal(here.get("n"), "new");
});
