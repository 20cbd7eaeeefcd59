/** Queries over a table store that a test fills by hand, and the HTTP server in front of them. */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { Catalog } from "../../src/core/catalog.ts";
import type { Clock } from "../../src/core/doors.ts";
import type { Tags } from "../../src/core/frame.ts";
import { deviceId, seriesId, sourceId } from "../../src/core/units.ts";
import { systemClock } from "../../src/agent/doors/clock.ts";
import type { RawDesk } from "../../src/agent/http/raw-routes.ts";
import { openHttp } from "../../src/agent/http/server.ts";
import { Queries } from "../../src/agent/query/queries.ts";
import { sampleView } from "./agent-view.ts";
import { type Put, TableRig } from "./table-rig.ts";

/** Where the readings of a test begin: the start of a day. */
export const start: number = 20_000 * 86_400_000;

export class QueryRig {
  readonly catalog: Catalog = new Catalog();
  readonly tables: TableRig;
  readonly queries: Queries;

  /** `clock` tells now and the deadline. */
  constructor(
    options: Partial<ConstructorParameters<typeof TableRig>[0]> & { readonly clock?: Clock } = {},
  ) {
    this.tables = new TableRig({ seed: 1, rowsMax: 100_000, ...options });
    this.queries = new Queries({
      catalog: this.catalog,
      clock: options.clock ?? systemClock(),
      snapshot: () => this.tables.store.snapshot(),
      tiers: this.tables.policy.tiers,
    });
  }

  /** Devices of two series each, as the table rig has them: `metrics` of the tags. */
  define(source: string, tags: Tags, metrics: readonly [string, string]): void {
    const { catalog } = this;
    if (catalog.findSource(source) === undefined) {
      catalog.define({ kind: "source", id: sourceId(catalog.sourceCount), name: source });
    }
    const device = deviceId(catalog.deviceCount);
    const known = catalog.findSource(source)!;
    catalog.define({ kind: "device", id: device, source: known, tags });
    for (const metric of metrics) {
      catalog.define({ kind: "series", id: seriesId(catalog.seriesCount), device, metric });
    }
  }

  /** `count` readings of a series, one every `everyMs`; their values count from 0. */
  fill(
    series: number,
    { count, everyMs = 1_000 }: { readonly count: number; readonly everyMs?: number },
  ): void {
    const put = (row: number): Put => ({ series, time: start + row * everyMs, value: row });
    for (let from = 0; from < count; from += 10_000) {
      const rows = Math.min(10_000, count - from);
      this.tables.put(Array.from({ length: rows }, (_, row) => put(from + row)));
    }
  }

  /** The port of the server. */
  async serve(t: TestContext, raw?: RawDesk): Promise<number> {
    const server = await openHttp({
      host: "127.0.0.1",
      port: 0,
      tokens: [],
      allowedHosts: [],
      clock: systemClock(),
      note: () => undefined,
      view: sampleView(),
      queries: this.queries,
      ...(raw === undefined ? {} : { raw }),
    });
    t.after(async () => {
      await server.close();
      await this.queries.close();
      await this.tables.store.close();
    });
    return server.port;
  }
}

/** A plant of three devices with readings of a minute: two on line a, one on line b. */
export async function plantRig(
  options: ConstructorParameters<typeof QueryRig>[0] = {},
): Promise<QueryRig> {
  const rig = new QueryRig(options);
  await rig.tables.open();
  rig.define(
    "plant",
    [
      ["device", "p1"],
      ["line", "a"],
    ],
    ["temperature", "mode"],
  );
  rig.define(
    "plant",
    [
      ["device", "p2"],
      ["line", "a"],
    ],
    ["temperature", "mode"],
  );
  rig.define(
    "lab",
    [
      ["device", "q1"],
      ["line", "b"],
    ],
    ["temperature", "mode"],
  );
  for (const series of [0, 2, 4]) rig.fill(series, { count: 60 });
  return rig;
}

/** Asks, and leaves what comes to the caller. */
export async function ask(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  return socket;
}
