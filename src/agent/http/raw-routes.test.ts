import assert from "node:assert/strict";
import { test } from "node:test";
import { plantRig, start } from "../../../test/support/query-rig.ts";
import type { AskOutcome, RawAnswers } from "../raw/raw-answers.ts";
import { newRequest } from "../raw/raw-request.ts";
import type { RawDesk } from "./raw-routes.ts";

type Ask = Parameters<RawAnswers["ask"]>[0];

/** A desk that remembers what it was asked, and answers as it is told. */
function deskOf(outcome: (ask: Ask) => AskOutcome): RawDesk & { readonly asks: Ask[] } {
  const asks: Ask[] = [];
  return {
    asks,
    status: [],
    ask: async (ask) => {
      asks.push(ask);
      return outcome(ask);
    },
    cancel: async (id) => id === "r1",
  };
}

const own = { "X-Weir": "1" };
const range = `from=${start}&to=${start + 1_000}`;

async function sent(
  port: number,
  path: string,
  options: RequestInit,
): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, options);
  return [response.status, await response.text()];
}

test("readings are asked for, listed and cancelled, by who is no page of another site", async (t) => {
  const at = { number: 0, asked: 0, due: 0 };
  const desk = deskOf((ask) => ({
    kind: "asked",
    request: newRequest({ ...ask, id: ask.id ?? "made-up" }, at),
  }));
  const port = await (await plantRig()).serve(t, desk);
  const path = `/v1/raw?select=temp*&select=%7Bdevice=p1%7D&${range}&priority=high&id=r1`;
  const [code, body] = await sent(port, path, { method: "POST", headers: own });
  assert.equal(code, 202, body);
  const select = ["temp*", "{device=p1}"];
  const ask = { id: "r1", select, from: start, to: start + 1_000, priority: "high" };
  assert.deepEqual(desk.asks, [{ ...ask, asked: desk.asks[0]?.asked }]);
  assert.deepEqual(JSON.parse(body), { ...ask, state: "open" });
  assert.deepEqual(await sent(port, "/v1/raw", {}), [200, '{"requests":[]}\n']);
  const cancel = { method: "DELETE", headers: own };
  assert.equal((await sent(port, "/v1/raw?id=r1", cancel))[0], 200);
  assert.equal((await sent(port, "/v1/raw?id=r2", cancel))[0], 404);
  const [foreign, why] = await sent(port, path, { method: "POST" });
  assert.equal(foreign, 403);
  assert.match(why, /needs a token, or the header X-Weir: 1/);
  assert.equal((await sent(port, "/v1/raw?id=r1", { method: "DELETE" }))[0], 403);
  assert.equal((await sent(port, "/v1/raw", { method: "PUT", headers: own }))[0], 405);
  assert.equal((await sent(port, "/v1/status", { method: "POST", headers: own }))[0], 405);
  assert.equal(desk.asks.length, 1);
});

test("what is asked for wrongly is refused in a sentence, and what cannot be now, too", async (t) => {
  const kinds = ["conflict", "tooMany", "malformed"] as const;
  const other = { id: "0", select: ["m"], from: start, to: start + 1, priority: "normal" } as const;
  const known = newRequest(other, { number: 0, asked: start, due: 0 });
  const desk = deskOf(({ id }) => ({ kind: kinds[Number(id)]!, message: "why", known }));
  const port = await (await plantRig()).serve(t, desk);
  const post = { method: "POST", headers: own };
  const codes = [409, 503, 400];
  for (const [id, code] of codes.entries()) {
    assert.equal((await sent(port, `/v1/raw?${range}&select=t&id=${id}`, post))[0], code);
  }
  const [code, message] = await sent(port, `/v1/raw?${range}&pirority=high`, post);
  assert.equal(code, 400);
  assert.match(message, /is it priority\?/);
  assert.equal((await sent(port, `/v1/raw?from=now&to=-1h`, post))[0], 400);
  assert.deepEqual(
    desk.asks.map(({ id }) => id),
    ["0", "0", "1", "2"],
    "what differs may be the same, meant when the other was asked for",
  );
});
