/**
 * Where a conformance case happens: a real front with the real broker behind it, on a simulated
 * network and a clock that stands. `settle` lets everything that is under way come to its end, so
 * that "nothing arrives" can be said without waiting.
 *
 * A message takes one of two ways through the front, so each case is lived through twice: once a
 * source takes every topic (the fast path, acknowledged after a commit), once none does (all of it
 * is the broker's).
 */

import assert from "node:assert/strict";
import { systemNet } from "../../src/agent/doors/net.ts";
import { commit, openRig, type Rig, type RigOptions, turns } from "../support/front-rig.ts";
import { Client, codeOf, type ConnectOptions, connectPacketOf, type Level } from "./client.ts";
import { webSocketPath, WebSocketWire } from "./web-socket-wire.ts";
import { simulatedWire, socketWire, type Wire } from "./wire.ts";

/** Which way messages take. */
export type Way = "source" | "broker";

export type SiteOptions = Pick<
  RigOptions,
  "limits" | "users" | "anonymous" | "access" | "accessLimits"
> & {
  /** On real sockets, on loopback; the clock stands all the same. */
  readonly over?: "tcp" | "websocket";
};

/** Rounds without a byte after which nothing is under way. */
const QUIET_ROUNDS = 4;
const ROUNDS_MAX = 2_000;

export class Site {
  readonly level: Level;
  readonly way: Way;
  readonly #rig: Rig;
  readonly #arrive: () => Wire;
  readonly #clients: Client[] = [];
  /** Over sockets: what was sent before its PINGREQ has arrived once its PINGRESP is there. */
  readonly #probe: Client | undefined;
  #names = 0;

  constructor(
    rig: Rig,
    level: Level,
    options: { readonly way: Way; readonly over: SiteOptions["over"] },
  ) {
    this.#rig = rig;
    this.level = level;
    this.way = options.way;
    const { over } = options;
    this.#arrive = () => {
      if (over === undefined) return simulatedWire(rig);
      return over === "tcp" ? socketWire(rig) : new WebSocketWire(rig);
    };
    if (over !== undefined) {
      this.#probe = new Client(this.#arrive(), 4, () => Promise.resolve());
      this.#probe.sendPacket(connectPacketOf(4, { clientId: "the probe" }));
    }
  }

  /** A network connection on which nothing was said yet. */
  open(level: Level = this.level): Client {
    const client = new Client(this.#arrive(), level, () => this.settle());
    this.#clients.push(client);
    return client;
  }

  /** The same on a WebSocket, with what carries it. */
  openWebSocket(options: { readonly subprotocols?: string } = {}): {
    readonly client: Client;
    readonly wire: WebSocketWire;
  } {
    const wire = new WebSocketWire(this.#rig, options);
    const client = new Client(wire, this.level, () => this.settle());
    this.#clients.push(client);
    return { client, wire };
  }

  /** A client that was accepted. */
  async connect(options: ConnectOptions | string = {}): Promise<Client> {
    const client = this.open();
    const given = typeof options === "string" ? { clientId: options } : options;
    const packet = connectPacketOf(this.level, { clientId: `client-${this.#names++}`, ...given });
    const connack = await client.connect(packet);
    assert.ok(connack, "the connection is accepted, not closed");
    assert.equal(codeOf(connack), 0, "the connection is accepted");
    return client;
  }

  /** A client whose session outlives its connection. */
  connectKept(clientId: string, options: ConnectOptions = {}): Promise<Client> {
    return this.connect(this.kept(clientId, options));
  }

  /** Options of a connection that takes up its session and keeps it, in this version's terms. */
  kept(clientId: string, options: ConnectOptions = {}): ConnectOptions {
    if (this.level === 4) return { clientId, clean: false, ...options };
    const properties = { sessionExpiryInterval: 3_600, ...options.properties };
    return { clientId, clean: false, ...options, properties };
  }

  /** Until nothing is under way any more; commits what waits for the disk. */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let round = 0; quiet < QUIET_ROUNDS; round++) {
      assert.ok(round < ROUNDS_MAX, "everything comes to rest");
      const before = this.#closedCount;
      await turns(4);
      await this.#thereAndBack();
      commit(this.#rig.front);
      const moved = this.#clients.map((client) => client.pull()).includes(true);
      const isBusy = this.#rig.front.status.loginsWaiting > 0;
      quiet = moved || isBusy || this.#closedCount !== before ? 0 : quiet + 1;
    }
  }

  get #closedCount(): number {
    return this.#clients.filter(({ isClosed }) => isClosed).length;
  }

  async #thereAndBack(): Promise<void> {
    if (this.#probe === undefined) return;
    this.#probe.sendPacket({ cmd: "pingreq" });
    while (!this.#probe.take().some(({ cmd }) => cmd === "pingresp")) await turns(1);
  }

  /** Time goes by, and what is due happens. */
  async pass(seconds: number): Promise<void> {
    this.#rig.clock.advance(seconds * 1_000);
    await this.settle();
  }

  /** Messages the receiver got. */
  get received(): readonly string[] {
    return this.#rig.receiver.received.map(({ topic, payload }) => `${topic} ${payload}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.drop();
    this.#probe?.drop();
    await this.#rig[Symbol.asyncDispose]();
  }
}

export async function openSite(level: Level, way: Way, options: SiteOptions = {}): Promise<Site> {
  const { over, ...rest } = options;
  const wants = way === "source" ? (topic: string) => !topic.startsWith("$") : () => false;
  const door = {
    ...(over === undefined ? {} : { listensOn: systemNet() }),
    ...(over === "websocket" ? { webSocket: { path: webSocketPath } } : {}),
  };
  return new Site(await openRig({ ...rest, ...door, wants }), level, { way, over });
}

/**
 * The server refused what the client sent: the connection is closed, in 3.1.1 without a word, in 5
 * with a DISCONNECT that says one of `reasons`.
 */
export function assertRefused(client: Client, ...reasons: readonly number[]): void {
  const received = client.take();
  assert.ok(client.isClosed, "the network connection is closed");
  if (client.level === 4) {
    assert.deepEqual(
      received.map(({ cmd }) => cmd),
      [],
      "without a word",
    );
    return;
  }
  const last = received.at(-1);
  assert.ok(last?.cmd === "disconnect", `a DISCONNECT says why, not ${last?.cmd ?? "nothing"}`);
  const reason = last.reasonCode ?? 0;
  assert.ok(reasons.includes(reason), `its reason 0x${reason.toString(16)} is ${hex(reasons)}`);
}

/** Each of these packets, sent alone by a client that is connected, is refused. */
export async function assertEachRefused(
  site: Site,
  packets: readonly Uint8Array[],
  ...reasons: readonly number[]
): Promise<void> {
  for (const packet of packets) {
    const client = await site.connect();
    client.send(packet);
    await site.settle();
    assertRefused(client, ...reasons);
  }
}

/** A CONNECT was refused: closed, in 3.1.1 without a word, in 5 after a CONNACK that says one of `reasons`. */
export function assertNotConnected(client: Client, ...reasons: readonly number[]): void {
  const received = client.take();
  const connack = received[0] ?? client.connack;
  assert.ok(client.isClosed, "the network connection is closed");
  if (client.level === 4) {
    assert.deepEqual([...received, client.connack].filter(Boolean), [], "without a word");
    return;
  }
  // A CONNACK is optional; one that comes has the right reason.
  if (connack === undefined) return;
  assert.ok(connack.cmd === "connack", `a CONNACK, not ${connack.cmd}`);
  assert.ok(reasons.includes(codeOf(connack)), `reason ${codeOf(connack)} is ${hex(reasons)}`);
  assert.equal(connack.sessionPresent, false, "no session is present in a refusal");
}

function hex(reasons: readonly number[]): string {
  return reasons.map((reason) => `0x${reason.toString(16)}`).join(" or ");
}
