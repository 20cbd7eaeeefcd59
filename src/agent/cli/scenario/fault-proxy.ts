/**
 * A TCP proxy with weather: it stands between a client and some servers, each with a port of its own
 * here, and cuts, holds and slows what passes. All its connections share one line in each direction.
 *
 *   client ──▶ port ─┬─ flow ─▶ line ─▶ ┬──▶ server
 *                    └─ ◀─ line ◀─ flow ┘
 *
 * What it cannot do: lose packets of a connection's beginning (the kernel answers it on loopback), or
 * reorder. In a hang new connections are taken, and hear nothing.
 */

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { assert } from "../../../core/assert.ts";
import { Chance } from "./chance.ts";
import { FaultFlow } from "./fault-flow.ts";
import { FaultLine } from "./fault-line.ts";
import { fairWeather, type Weather } from "./weather.ts";

export type Address = { readonly host: string; readonly port: number };

export type ProxyCounts = {
  readonly connections: number;
  readonly cut: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
};

type Direction = "bytesUp" | "bytesDown";

type Crossing = {
  readonly client: Socket;
  readonly to: Address;
  server: Socket | undefined;
  /** One of its sockets has failed: the other hears of it as soon as anything passes. */
  isBroken: boolean;
  flows: readonly FaultFlow[];
};

export class FaultProxy {
  readonly #lines: Readonly<Record<Direction, FaultLine>>;
  readonly #servers: Server[] = [];
  readonly #crossings = new Set<Crossing>();
  readonly #counts = { connections: 0, cut: 0, bytesUp: 0, bytesDown: 0 };
  #weather = fairWeather;

  constructor({ seed }: { readonly seed: number }) {
    const chance = new Chance(seed);
    this.#lines = { bytesUp: new FaultLine(chance), bytesDown: new FaultLine(chance) };
  }

  get counts(): ProxyCounts {
    return { ...this.#counts };
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    if (this.#weather.bandwidth !== weather.bandwidth) {
      for (const line of Object.values(this.#lines)) line.clear();
    }
    this.#weather = weather;
    for (const crossing of this.#crossings) this.#meet(crossing);
  }

  /** Listens on a port of loopback, by default a free one, for what goes `to` there. */
  async listen(to: Address, port = 0): Promise<number> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) =>
      this.#accept(client, to),
    );
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    this.#servers.push(server);
    const address = server.address();
    assert(address !== null && typeof address !== "string", "a TCP server has a port");
    return address.port;
  }

  async close(): Promise<void> {
    for (const crossing of this.#crossings) this.#end(crossing);
    const closed = this.#servers.map((server) => once(server, "close"));
    for (const server of this.#servers.splice(0)) server.close();
    await Promise.all(closed);
  }

  #accept(client: Socket, to: Address): void {
    const crossing: Crossing = {
      client,
      to,
      server: undefined,
      isBroken: false,
      flows: [],
    };
    this.#crossings.add(crossing);
    this.#counts.connections += 1;
    client.setNoDelay(true);
    this.#watch(crossing, client);
    this.#meet(crossing);
  }

  #watch(crossing: Crossing, socket: Socket): void {
    socket.on("error", () => {
      crossing.isBroken = true;
      this.#meet(crossing);
    });
    socket.on("close", () => this.#meet(crossing));
  }

  /** What the weather makes of it, and of what has happened to it. */
  #meet(crossing: Crossing): void {
    const { client, server, isBroken } = crossing;
    const { passage } = this.#weather;
    if (!this.#crossings.has(crossing) || passage === "hang") return;
    if (passage === "cut") this.#counts.cut += 1;
    if (passage === "cut" || isBroken) this.#end(crossing);
    else if (client.destroyed && (server === undefined || server.destroyed)) this.#end(crossing);
    else this.#go(crossing);
  }

  /** Connects it through, or lets what waits pass on. */
  #go(crossing: Crossing): void {
    const { client, to } = crossing;
    if (crossing.server !== undefined) {
      for (const flow of crossing.flows) flow.turn();
      return;
    }
    const server = connect({ ...to, allowHalfOpen: true, noDelay: true });
    crossing.server = server;
    this.#watch(crossing, server);
    const flow = (from: Socket, on: Socket, direction: Direction): FaultFlow =>
      new FaultFlow({
        from,
        to: on,
        line: this.#lines[direction],
        weather: () => this.#weather,
        arrived: (bytes) => {
          this.#counts[direction] += bytes;
        },
      });
    crossing.flows = [flow(client, server, "bytesUp"), flow(server, client, "bytesDown")];
    client.resume();
  }

  /** Not by a reset: after many of those, with writes under way, Node 26 spins at its end for ever. */
  #end(crossing: Crossing): void {
    this.#crossings.delete(crossing);
    for (const flow of crossing.flows) flow.close();
    crossing.client.destroy();
    crossing.server?.destroy();
  }
}
