/** The table store as Prometheus families; see metrics.ts. */

import type { Family, Sample } from "./exposition.ts";
import type { Status } from "../status.ts";

export function tableFamilies({
  tables,
  wear,
  reserve,
  flash,
  resends,
}: Pick<Status, "tables" | "wear" | "reserve" | "flash" | "resends">): Family[] {
  const { counts, quarantine } = tables;
  const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name: `weir_tables${name}`,
    type: "gauge",
    help,
    samples,
  });
  const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
    name: `weir_tables_${name}_total`,
    type: "counter",
    help,
    samples,
  });
  const ofDevice = (value: number | undefined): Sample[] =>
    wear === undefined || value === undefined ? [] : [{ labels: { device: wear.device }, value }];
  return [
    {
      name: "weir_device_written_bytes_total",
      type: "counter",
      help: "Written to the device of the data directory by all programs, since weir looks.",
      samples: ofDevice(wear?.totalBytes),
    },
    {
      name: "weir_device_written_bytes_per_day",
      type: "gauge",
      help: "The same in a day, by the last few weeks.",
      samples: ofDevice(wear?.bytesPerDay),
    },
    {
      name: "weir_reserve_bytes",
      type: "gauge",
      help: "Space that is given up when the disk is full; 0 after that, until there is room.",
      samples: reserve === undefined ? [] : [{ value: reserve.bytes }],
    },
    ...flashFamilies(flash),
    {
      name: "weir_resends_total",
      type: "counter",
      help: "Readings older than the ring of duplicates: looked up among those stored, found, left.",
      samples: [
        { labels: { what: "looked_up" }, value: resends.lookedUp },
        { labels: { what: "found" }, value: resends.found },
        { labels: { what: "skipped" }, value: resends.skipped },
      ],
    },
    gauge("", "Tables of readings.", [{ value: tables.tables }]),
    gauge("_bytes", "Bytes of tables on disk.", [{ value: tables.bytes }]),
    gauge("_readings", "Accepted readings that are not in the log alone, by where they are.", [
      { labels: { where: "memory" }, value: tables.inMemory },
      { labels: { where: "tables" }, value: tables.inTables },
    ]),
    gauge(
      "_class_bytes",
      "Bytes of tables by the class of their series, as it was when they were written.",
      tables.classes.map(({ class: name = "", bytes }) => {
        return { labels: { class: name }, value: bytes };
      }),
    ),
    gauge("_through_position", "Log position below which readings are in tables.", [
      { value: tables.through },
    ]),
    gauge("_damaged", "Tables of which a part is known to be damaged.", [
      { value: tables.damaged.length },
    ]),
    gauge("_unreadable", "Tables that the disk failed to read of late.", [
      { value: tables.unreadable.length },
    ]),
    gauge("_quarantined", "Tables that damage took off the list, the last few.", [
      { value: tables.quarantined.length },
    ]),
    gauge("_quarantine_bytes", "Bytes of damaged files that are kept.", [
      { value: quarantine.bytes },
    ]),
    gauge("_healthy", "Whether tables are written and read without trouble.", [
      { value: Number(tables.trouble === undefined && tables.unreadable.length === 0) },
    ]),
    // What was missing and is there again is not lost any more, so this is no counter.
    gauge(
      "_fate_readings",
      "Readings written to tables, and what became of them, since the data directory began.",
      Object.entries(counts).map(([fate, value]) => ({ labels: { fate }, value })),
    ),
    counter("flushes", "Times memory was written to tables.", [{ value: tables.flushes }]),
    counter("compactions", "Times tables were merged or rolled up.", [
      { value: tables.compactions },
    ]),
    counter("written_bytes", "Bytes written to tables.", [
      { labels: { by: "flush" }, value: tables.bytesFlushed },
      { labels: { by: "compaction" }, value: tables.bytesCompacted },
    ]),
  ];
}

/** Of the cap on writes, where there is one. */
function flashFamilies(flash: Status["flash"]): Family[] {
  if (flash === undefined) return [];
  const gauge = (name: string, help: string, value: number): Family => ({
    name: `weir_writes_${name}`,
    type: "gauge",
    help,
    samples: [{ value }],
  });
  return [
    gauge("cap_bytes", "What a day may write to the device.", flash.capBytes),
    gauge("today_bytes", "What the running day has written to it.", flash.writtenBytes),
    gauge("sparing_level", "How sparing the agent is, from 0 to 5.", flash.level),
    gauge(
      "missed",
      "Whether the cap is missed although it spares all it may.",
      Number(flash.isMissed),
    ),
  ];
}
