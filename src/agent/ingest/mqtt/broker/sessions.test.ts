import assert from "node:assert/strict";
import { it } from "node:test";
import { openSite } from "../../../../../test/conformance/site.ts";

it("what was acknowledged makes room for what waits next time", async () => {
  await using site = await openSite(4, "broker", { limits: { waitingPerSessionMax: 2 } });
  const pub = await site.connect();
  let sub = await site.connectKept("sub");
  await sub.subscribe([
    { topic: "a", qos: 1 },
    { topic: "b/+", qos: 2 },
  ]);
  for (let round = 0; round < 3; round++) {
    await sub.vanish();
    await pub.publish("a", `one ${round}`, { qos: 1 });
    await pub.publish("b/c", `two ${round}`, { qos: 2 });
    await pub.publish("a", `dropped ${round}`, { qos: 1 });
    sub = await site.connectKept("sub");
    await site.settle();
    assert.deepEqual(sub.messages(), [`a one ${round}`, `b/c two ${round}`]);
  }
});
