import assert from "node:assert/strict";
import { test } from "node:test";
import { sampleStatus } from "../../../test/support/agent-view.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import type { UplinkStatus } from "../../sync/drain.ts";
import { linkOf } from "../config/link-config.ts";
import { LinkDesk, type LinkView } from "../uplinks/link-desk.ts";
import { Links } from "../uplinks/links.ts";
import { linkReply } from "./link-routes.ts";

const start = Date.parse("2026-11-29T12:00:00Z");

type Answer = { readonly code: number; readonly body: LinkView & { readonly message: string } };

/** A desk before links of its own, and uplinks that remember what was done to them. */
async function rig(uplinks: readonly string[] = ["kafka", "mqtt:b:1883"]) {
  const clock = new SimulatedClock(start);
  const { store } = await openStateStore(new KvMemory());
  const policies = [
    linkOf({ name: "lte", quota: { bytes: 500e6, per: "month", reserveBytes: 0 } }),
    linkOf({ name: "lan" }),
  ];
  const links = new Links({ policies, clock, store, trustedNow: () => clock.now() });
  const done: string[] = [];
  const [sample] = sampleStatus.uplinks;
  assert.ok(sample !== undefined);
  const drain = {
    status: uplinks.map((name): UplinkStatus => ({ ...sample, name })),
    pause: async (names: readonly string[], forMs: number | undefined) => {
      done.push(`pause ${names.join(" ")} ${forMs}`);
    },
    resume: async (names: readonly string[]) => {
      done.push(`resume ${names.join(" ")}`);
    },
    wake: () => {
      done.push("wake");
    },
  };
  const desk = new LinkDesk({ drain, links });
  const ask = async (method: string, search: string): Promise<Answer> => {
    const reply = await linkReply(desk, { method, search: new URLSearchParams(search) });
    return { code: reply.code, body: JSON.parse(reply.body) as Answer["body"] };
  };
  return { done, ask };
}

test("how the sync is: uplinks with what waits, lanes with why, links", async () => {
  const { ask } = await rig(["kafka"]);
  const { code, body } = await ask("GET", "");
  assert.equal(code, 200);
  const [kafka] = body.uplinks;
  assert.deepEqual(
    [kafka?.name, kafka?.state, kafka?.waiting, kafka?.oldest],
    ["kafka", "waiting", 4, 40_000],
  );
  assert.equal(kafka?.lanes.summaries.behind, 3);
  assert.deepEqual(
    body.links.map(({ name }) => name),
    ["lte", "lan"],
  );
});

test("one uplink or all are paused and resumed, for a time or until further notice", async () => {
  const { ask, done } = await rig();
  assert.equal((await ask("POST", "action=pause&uplink=mqtt:b:1883&for=15m")).code, 200);
  const { code, body } = await ask("POST", "action=pause");
  assert.deepEqual([code, body.uplinks.length], [200, 2], "the answer is that of a GET");
  await ask("POST", "action=resume");
  await ask("POST", "action=resume&uplink=kafka");
  assert.deepEqual(done, [
    "pause mqtt:b:1883 900000",
    "pause kafka mqtt:b:1883 undefined",
    "resume kafka mqtt:b:1883",
    "resume kafka",
  ]);
});

test("a budget is in force when it is answered, wakes who waits, and goes by itself", async () => {
  const { ask, done } = await rig();
  const { code, body } = await ask("POST", "action=budget&link=lte&bytes=50MB");
  assert.equal(code, 200);
  const [lte] = body.links;
  assert.deepEqual([lte?.quota?.bytes, lte?.quota?.configuredBytes], [50e6, 500e6]);
  assert.deepEqual(done, ["wake"], "who waited for it");
  const plain = await ask("POST", "action=budget&link=lte&bytes=70000000");
  assert.equal(plain.body.links[0]?.quota?.bytes, 70e6, "without a unit it is bytes");
  const again = await ask("POST", "action=budget&link=lte");
  assert.equal(again.body.links[0]?.quota?.bytes, 500e6);
});

test("what is not understood is refused with what to write, and changes nothing", async () => {
  const { ask, done } = await rig();
  for (const [search, code, said] of [
    ["", 400, /^action must be pause or resume or budget/],
    ["action=stop", 400, /^action must be pause or resume or budget, not "stop"/],
    ["action=pause&for=15", 400, /^for must be a duration such as 15m, from 1s to 365d, not "15"/],
    ["action=pause&for=0s", 400, /leave it out, and it lasts until it is resumed/],
    ["action=pause&for=366d", 400, /from 1s to 365d/],
    ["action=pause&uplnik=kafka", 400, /"uplnik" is not understood here: is it uplink\?/],
    ["action=resume&for=15m", 400, /"for" is not understood here/],
    [
      "action=pause&uplink=kafak",
      404,
      /^no uplink is called "kafak": known are kafka, mqtt:b:1883/,
    ],
    ["action=budget&link=sat", 404, /^no link is called "sat": known are lte, lan/],
    ["action=budget", 404, /^there is no link: known are lte, lan|^no link/],
    ["action=budget&link=lan&bytes=1MB", 409, /^link "lan" has no quota: .*links\[\]\.quota/],
    ["action=budget&link=lte&bytes=lots", 400, /^bytes must be a size such as 50MB or 64MiB/],
    ["action=budget&link=lte&bytes=99999999999GiB", 400, /^bytes must be a size/],
  ] as const) {
    const { code: got, body } = await ask("POST", search);
    assert.deepEqual([search, got], [search, code]);
    assert.match(body.message, said);
  }
  assert.deepEqual(done, []);
  const { ask: without } = await rig([]);
  const { code, body } = await without("POST", "action=pause");
  assert.deepEqual([code, body.message], [404, "there is no uplink: there are none"]);
});
