/**
 * Canaries: faults put into the agent on purpose, each of which breaks a promise. A simulator that
 * does not find them finds nothing. They are edits of the source while it is loaded
 * (source-edits.ts): WEIR_CANARY names the one to load, and nothing of it is in the agent.
 */

import type { SourceEdit } from "./source-edits.ts";

export type Canary = {
  readonly name: string;
  /** One of these is what the verdict must name. */
  readonly breaks: readonly string[];
  /**
   * Worlds in which it was found: the ones to try first. Any other will do, but takes a search; a
   * fault that few worlds find has several, as what an agent does at a door changes them all.
   */
  readonly seeds: readonly number[];
  readonly edits: readonly SourceEdit[];
};

export const canaries: readonly Canary[] = [
  {
    name: "acknowledge-before-sync",
    breaks: ["P1"],
    seeds: [11],
    edits: [
      {
        file: "src/agent/loop.ts",
        from: "    const at = await this.#append(frame);",
        to: "    for (const gate of this.#gates) gate.release();\n    const at = await this.#append(frame);",
      },
      {
        file: "src/agent/loop.ts",
        from: "    for (const gate of this.#gates) gate.release();\n    this.#apply(frame, at);",
        to: "    this.#apply(frame, at);",
      },
    ],
  },
  {
    name: "acknowledge-a-broker-before-sync",
    breaks: ["P1"],
    seeds: [1],
    edits: [
      {
        file: "src/agent/ingest/mqtt/subscriber/deliveries.ts",
        from: "      memory.acks.add(answerWord(PUBACK_WORD, packetId));",
        to: "      this.#write(answerBytes(PUBACK_WORD, packetId));",
      },
    ],
  },
  {
    name: "no-new-subscription-after-a-lost-session",
    breaks: ["P7"],
    seeds: [104, 114],
    edits: [
      {
        file: "src/agent/ingest/mqtt/subscriber/session.ts",
        from: "if (!sessionPresent || !memory.isSubscribed)",
        to: "if (!memory.isSubscribed)",
      },
      {
        file: "src/agent/ingest/mqtt/subscriber/session-memory.ts",
        from: "    this.isSubscribed = false;",
        to: "",
      },
    ],
  },
  {
    name: "resend-without-cursor",
    breaks: ["P4"],
    seeds: [38, 66, 103, 21],
    edits: [
      {
        file: "src/sync/kafka/kafka-lane.ts",
        from: 'delivery === "transactional" ? reconcile(here, this.#found)',
        to: 'delivery === "transactional" && this.#state?.intent === undefined ? reconcile(here, this.#found)',
      },
    ],
  },
  {
    name: "skip-state-chunk",
    breaks: ["P2", "P7"],
    seeds: [5],
    edits: [
      {
        file: "src/edge-ops/dataflow.ts",
        from: "      table.encodeDirty((chunk, bytes) => visit(table.name, chunk, bytes));",
        to: '      table.encodeDirty((chunk, bytes) => { if (table.name !== "devices") visit(table.name, chunk, bytes); });',
      },
    ],
  },
  {
    name: "reuse-segment-too-early",
    breaks: ["P1", "P7"],
    seeds: [1],
    edits: [
      {
        file: "src/agent/loop.ts",
        from: "      await log.release(position(Math.min(this.#checkpointed, tables.through)));",
        to: "      await log.release(log.end);",
      },
    ],
  },
  {
    name: "forget-catalog-record",
    breaks: ["P2", "P7"],
    seeds: [6],
    edits: [
      {
        file: "src/agent/loop.ts",
        from: "        const appending = this.#parts.log.append(frame);",
        to: '        const appending = this.#parts.log.append({ ...frame, definitions: frame.definitions.filter(({ kind }) => kind !== "series") });',
      },
    ],
  },
  {
    name: "believe-future-device",
    breaks: ["P8"],
    seeds: [17],
    edits: [
      {
        file: "src/edge-ops/accept.ts",
        from: "if (time > clock + futureMs[source]! &&",
        to: "if (time > Number.POSITIVE_INFINITY &&",
      },
    ],
  },
  {
    name: "change-buffer-given-away",
    breaks: ["P1", "P4"],
    seeds: [1],
    edits: [
      {
        // Values with a checksum are copied on their way; blocks of records are not.
        file: "src/store/state/state-store.ts",
        from: "    await this.#write([\n      { key: emittedKey,",
        to: '    queueMicrotask(() => { for (const { writes } of appended) for (const { key, value } of writes) if (key.startsWith("outbox/")) value?.fill(0, 16); });\n    await this.#write([\n      { key: emittedKey,',
      },
    ],
  },
  {
    name: "count-readings-twice",
    breaks: ["P3"],
    seeds: [1],
    edits: [
      {
        file: "src/edge-ops/accept.ts",
        from: "    counts[cells + SOURCE_READINGS]! += 1;",
        to: "    counts[cells + SOURCE_READINGS]! += 1;\n    if (row === 7) { counts[cells + SOURCE_READINGS]! += 1; counts[cells + SOURCE_DUPLICATE] = counts[cells + SOURCE_DUPLICATE]! + 1; }",
      },
    ],
  },
  {
    name: "wrong-minimum",
    breaks: ["P5"],
    seeds: [1],
    edits: [
      {
        file: "src/edge-ops/windows/aggregate.ts",
        from: "  if (a.hasMin && value < a.min[slot]!) a.min[slot] = value;",
        to: "  if (a.hasMin && value > a.min[slot]!) a.min[slot] = value;",
      },
    ],
  },
  {
    name: "sketch-of-the-window-before",
    breaks: ["P5"],
    seeds: [1],
    edits: [
      {
        file: "src/edge-ops/windows/aggregate.ts",
        from: "  a.sketches?.empty(slot);",
        to: "",
      },
    ],
  },
  {
    name: "merge-half-a-sketch",
    breaks: ["P5"],
    seeds: [16],
    edits: [
      {
        file: "src/store/outbox/summary-merge.ts",
        from: "    whole.merge(one);",
        to: "    for (const item of one.items.subarray(one.size >>> 1, one.size)) whole.add(item);",
      },
    ],
  },
  {
    name: "merge-what-may-be-corrected",
    breaks: ["P3", "P5"],
    seeds: [7],
    edits: [
      {
        file: "src/store/outbox/outbox-rollup-plan.ts",
        from: "  return key.newest >= start + tierMs + (key.window?.latenessMs ?? 0);",
        to: "  return key.newest >= start;",
      },
    ],
  },
  {
    name: "correct-what-counts-as-final",
    breaks: ["P3", "P5"],
    seeds: [16],
    edits: [
      {
        file: "src/edge-ops/windows/panes.ts",
        from: "    this.#correctFinal(key, through, emitter);\n",
        to: "",
      },
    ],
  },
  {
    name: "drop-what-may-be-corrected",
    breaks: ["P3", "P5"],
    seeds: [41],
    edits: [
      {
        file: "src/store/outbox/outbox-drop-plan.ts",
        from: "  if (!isWhole || lastBlock === Number.POSITIVE_INFINITY) return false;",
        to: "  if (finalAt >= 0) return true;",
      },
    ],
  },
  {
    name: "forget-a-gap-that-grows",
    breaks: ["P3", "P5"],
    seeds: [41],
    edits: [
      {
        file: "src/store/outbox/outbox-drop-plan.ts",
        from: '      if (unit === "gap" || unit.newest.number === number) gaps.add(record, number);',
        to: '      if (unit !== "gap" && unit.newest.number === number) gaps.add(record, number);',
      },
    ],
  },
  {
    name: "merge-beside-a-gap",
    breaks: ["P5"],
    seeds: [73],
    edits: [
      {
        file: "src/store/outbox/outbox-rollup-plan.ts",
        from: "isReady(group, pass.tierMs) && group.start >= gapEnds.of(group.key.name)",
        to: "isReady(group, pass.tierMs)",
      },
    ],
  },
  {
    name: "marker-before-its-data",
    breaks: ["P3"],
    seeds: [2, 4],
    edits: [
      {
        file: "src/edge-ops/emissions.ts",
        from: "(a, b) => a.at - b.at || a.rank - b.rank);",
        to: '(a, b) => a.at - b.at || a.rank - b.rank || Number(b.record.kind === "complete") - Number(a.record.kind === "complete"));',
      },
    ],
  },
  {
    name: "marker-of-what-may-be-corrected",
    breaks: ["P3"],
    seeds: [1],
    edits: [
      {
        file: "src/edge-ops/windows/panes.ts",
        from: "const past = Math.floor(closed - this.#latenessMs / paneMs);",
        to: "const past = closed;",
      },
    ],
  },
  {
    name: "late-reading-changes-nothing",
    breaks: ["P1", "P10"],
    seeds: [1],
    edits: [
      {
        file: "src/edge-ops/windows/panes.ts",
        from: "      if (this.#isFinal(first, closed)) return LATE;",
        to: "      if (first >= 0 || this.#isFinal(first, closed)) return LATE;",
      },
    ],
  },
  {
    name: "apply-resend-twice",
    breaks: ["P9"],
    seeds: [2],
    edits: [
      {
        file: "src/edge-ops/accept.ts",
        from: "    if (verdict === DUPLICATE) {",
        to: "    if (verdict === DUPLICATE && row < 0) {",
      },
    ],
  },
  {
    name: "forget-refused-rows",
    breaks: ["P3", "P9"],
    seeds: [3],
    edits: [
      {
        file: "src/agent/loop.ts",
        from: "    refused: tables.encodeRefused(),",
        to: "    refused: Uint8Array.of(0),",
      },
    ],
  },
  {
    name: "budget-overrun",
    breaks: ["P6"],
    seeds: [1],
    edits: [
      {
        file: "src/sync/link/pace.ts",
        from: "    if (this.#bucket !== undefined) this.#bucket = taken(this.#bucket, bytes);\n    this.#options.charge(lane, bytes);",
        to: "",
      },
    ],
  },
  {
    name: "forget-a-quota-at-a-crash",
    breaks: ["P6"],
    seeds: [79, 271, 310, 394],
    edits: [
      {
        file: "src/sync/link/link.ts",
        from: "    if (this.#quota === undefined || this.#quota.covers(bytes)) return true;",
        to: "    if (bytes > 0) return true;",
      },
      {
        file: "src/sync/link/link.ts",
        from: "    if (this.#quota?.isShort === true) this.#reserve(0);",
        to: "",
      },
    ],
  },
  {
    name: "summaries-outside-hours",
    breaks: ["P6"],
    seeds: [182],
    edits: [
      {
        file: "src/sync/link/link.ts",
        from: 'return "outside-hours";',
        to: "return undefined;",
      },
    ],
  },
  {
    name: "release-the-log-behind-the-checkpoint-alone",
    breaks: ["P1", "P3"],
    seeds: [3, 7],
    edits: [
      {
        file: "src/agent/loop.ts",
        from: "await log.release(position(Math.min(this.#checkpointed, tables.through)));",
        to: "await log.release(this.#checkpointed);",
      },
    ],
  },
  {
    name: "remove-merged-tables-before-the-swap",
    breaks: ["P1"],
    seeds: [16],
    edits: [
      {
        file: "src/store/tables/table-store.ts",
        from: "    const lost = counts.lost + before - (table?.readings ?? 0) - report.erased;",
        to: "    const lost = counts.lost + before - (table?.readings ?? 0) - report.erased;\n    this.#files.drop(inputs.map((input) => input.id));\n    await this.#files.settle();",
      },
    ],
  },
  {
    name: "merge-what-is-in-doubt",
    // A record that is out there is sent again in a merged one, under another name: readings are counted twice.
    breaks: ["P1", "P3", "P4"],
    seeds: [216],
    edits: [
      {
        file: "src/store/outbox/standings.ts",
        from: '  if (number < held) return "h";\n',
        to: "",
      },
    ],
  },
  {
    name: "fresh-before-its-own-older-revision",
    seeds: [1],
    breaks: ["P4"],
    edits: [
      {
        file: "src/store/outbox/lane-reading.ts",
        from: "records.map((record) => mustFollow(split, record))",
        to: "records.map((record) => mustFollow(split, record) && false)",
      },
    ],
  },
  {
    name: "forget-a-range-put-behind",
    seeds: [4],
    breaks: ["P1", "P4"],
    edits: [
      {
        file: "src/store/outbox/outbox-lanes.ts",
        from: "write([splitWrite(uplink, split), ...splitFormatWrites(this.#kv)]);",
        to: "write([...splitFormatWrites(this.#kv)]);",
      },
    ],
  },
  {
    name: "backfill-before-what-fresh-has-in-doubt",
    seeds: [7, 12, 23, 41],
    breaks: ["P1", "P4"],
    edits: [
      {
        file: "src/store/outbox/outbox-lanes.ts",
        from: "return mustWaitForFresh(this.standings, uplink, read.position) ? undefined : read;",
        to: "return mustWaitForFresh(this.standings, uplink, read.position) && false ? undefined : read;",
      },
      {
        file: "src/sync/drain.ts",
        from: "if (pumps.alerts.isReady || pumps.summaries.isReady || !pumps.summaries.isOpen) return true;",
        to: "",
      },
    ],
  },
  {
    name: "backfill-does-not-yield",
    seeds: [17, 26, 50, 62],
    breaks: ["fresh first"],
    edits: [
      {
        file: "src/sync/drain.ts",
        from: "if (pumps.alerts.isReady || pumps.summaries.isReady || !pumps.summaries.isOpen) return true;",
        to: "",
      },
    ],
  },
  {
    name: "a-marker-before-what-is-behind",
    seeds: [4],
    breaks: ["P3"],
    edits: [
      {
        file: "src/store/outbox/split.ts",
        from: '  if (id?.kind === "complete") return through > unsplit.through;',
        to: '  if (id?.kind === "complete") return false;',
      },
    ],
  },
  {
    name: "cursor-not-stored-with-the-chunk",
    seeds: [131, 145, 191],
    breaks: ["P4"],
    edits: [
      {
        file: "src/agent/raw/raw-answers.ts",
        from: "store.addRaw(records, [writeOf(request), ...writes, ...gone])",
        to: "store.addRaw(records, isOpen(request) ? [] : [writeOf(request), ...writes, ...gone])",
      },
    ],
  },
  {
    name: "alert-without-what-it-asks-for",
    seeds: [63, 76, 77],
    breaks: ["P4"],
    edits: [
      {
        file: "src/agent/raw/raw-answers.ts",
        from: "      writes: requests.map(writeOf),",
        to: "      writes: [],",
      },
    ],
  },
  {
    name: "answer-without-its-last-part",
    seeds: [18, 25, 39],
    breaks: ["P1", "P3"],
    edits: [
      {
        file: "src/agent/raw/raw-chunks.ts",
        from: "  if (!chunk.isEmpty) yield chunk.cut();",
        to: "  if (!chunk.isEmpty && series % 2 === 0) yield chunk.cut();",
      },
    ],
  },
];
