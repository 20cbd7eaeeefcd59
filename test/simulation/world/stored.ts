/** What an agent has stored of readings, asked for as a query asks. */

import type { Agent } from "../../../src/agent/agent.ts";
import { seriesId } from "../../../src/core/units.ts";
import { createReadReport } from "../../../src/store/tables/read/block-source.ts";
import { allTime, readings as resolutionOfReadings } from "../../../src/store/tables/rows.ts";
import { readReadings } from "../../../src/store/tables/read/table-query.ts";
import type { Stored, StoredCounts, StoredReading } from "../oracle/evidence.ts";

/** Its counts now. */
export function storedCounts(agent: Agent): StoredCounts {
  const { tables } = agent.stored;
  const { inMemory, inTables, counts } = tables.status;
  using snapshot = tables.snapshot();
  const coarse = snapshot.tables.filter(
    ({ resolutions }) => !resolutions.includes(resolutionOfReadings),
  );
  return {
    accepted: agent.ledger().sources.reduce((sum, { readings }) => sum + readings.accepted, 0),
    inMemory,
    inTables,
    rolledUp: coarse.reduce((sum, { readings }) => sum + readings, 0),
    expired: counts.expired,
    erased: counts.erased,
    lost: counts.lost,
  };
}

/** Everything it has at this moment, series by series, whatever it does meanwhile. */
export async function storedBy(agent: Agent, when: string): Promise<Stored> {
  const { tables, catalog } = agent.stored;
  const counts = storedCounts(agent);
  const { damaged, quarantined } = tables.status;
  using snapshot = tables.snapshot();
  const report = createReadReport();
  const readings: StoredReading[] = [];
  for (let id = 0; id < catalog.seriesCount; id++) {
    const series = seriesId(id);
    const { device, metric } = catalog.series(series);
    const { tags } = catalog.device(device);
    const name = tags.find(([tag]) => tag === "device")?.[1] ?? "";
    for await (const rows of readReadings(snapshot, { series, range: allTime }, report)) {
      for (let row = 0; row < rows.rows; row++) {
        const [time, value] = [rows.time[row]!, rows.columns[0]![row]!];
        readings.push({ device: name, metric, time, value });
      }
    }
  }
  const faults = [
    ...damaged.map(({ id, reason }) => `table ${id} is damaged: ${reason}`),
    ...quarantined.map(({ id, why, reason }) => `table ${id} is set aside, ${why}: ${reason}`),
    ...[...report.damaged].map(([id, reason]) => `table ${id} is damaged: ${reason}`),
  ];
  return { when, counts, readings, faults };
}
