import assert from "node:assert/strict";
import { Socket } from "node:net";
import { test } from "node:test";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { Handshakes } from "./handshakes.ts";

test("an address begins so many handshakes at once, then so many in a second", async () => {
  const clock = new SimulatedClock(0);
  const handshakes = new Handshakes(clock, { connectsBurstMax: 3, connectsPerSecondMax: 2 });
  const begin = (): boolean => {
    const handshake = handshakes.begin(new Socket());
    handshake?.done();
    return handshake !== undefined;
  };
  assert.deepEqual([begin(), begin(), begin(), begin()], [true, true, true, false]);
  await clock.pass(500);
  assert.deepEqual([begin(), begin()], [true, false]);
  assert.equal(handshakes.status.crowdedOut, 2);
  assert.equal(handshakes.status.underWay, 0);
});

test("a peer is refused once, and what it does then is nothing new", async () => {
  const clock = new SimulatedClock(0);
  const handshakes = new Handshakes(clock);
  const handshake = handshakes.begin(new Socket());
  let farewells = 0;
  const say = (): void => {
    farewells += 1;
  };
  handshake?.refuse("no", say);
  handshake?.refuse("no again", say);
  assert.equal(farewells, 1);
  assert.equal(handshakes.status.underWay, 1);
  await clock.pass(60_000);
  const { underWay, refused, timedOut, lastRefusal } = handshakes.status;
  assert.deepEqual([underWay, refused, timedOut, lastRefusal], [0, 1, 0, "?:0: no"]);
});

test("where it is full, whoever has most gives way, and a network of IPv6 is one", () => {
  const handshakes = new Handshakes(new SimulatedClock(0), { handshakesMax: 3 });
  const from = (address: string): Socket => {
    const socket = new Socket();
    Object.defineProperty(socket, "remoteAddress", { value: address });
    handshakes.begin(socket);
    return socket;
  };
  const sensor = from("10.0.0.7");
  const first = from("2001:db8::1");
  from("2001:db8::2");
  from("2001:db8::3");
  assert.deepEqual([sensor.destroyed, first.destroyed], [false, true]);
  assert.equal(handshakes.status.crowdedOut, 1);
});
