/**
 * Coverage marks: branches of the agent that matter, and whether a run came through them. A mark is
 * an edit of the source while it is loaded (source-edits.ts), so the agent itself knows nothing of
 * it. A place that is gone is an error: then the mark is made anew.
 *
 * In `to`, MARK is an expression that tells the simulator.
 */

import type { SourceEdit } from "./source-edits.ts";

type Mark = SourceEdit & { readonly name: string };

export const marks: readonly Mark[] = [
  // receive
  {
    name: "a message waits for room",
    file: "src/agent/ingest/mqtt/front/connection.ts",
    from: 'return this.refuse("room")',
    to: 'return MARK, this.refuse("room")',
  },
  {
    name: "a message waits for acknowledgements",
    file: "src/agent/ingest/mqtt/front/connection.ts",
    from: 'if (this.#inFlight.isFull(qos)) return this.refuse("acks");',
    to: 'if (this.#inFlight.isFull(qos)) return MARK, this.refuse("acks");',
  },
  {
    name: "a socket is not read",
    file: "src/agent/ingest/mqtt/front/throttle.ts",
    from: "      this.#host.counters.socketPauses += 1;",
    to: "      MARK; this.#host.counters.socketPauses += 1;",
  },
  {
    name: "frames wait for outputs",
    file: "src/agent/loop.ts",
    from: "if (outputs.bytes > this.#pendingBytesMax) return;",
    to: "if (outputs.bytes > this.#pendingBytesMax) return MARK;",
  },
  {
    name: "a packet is split",
    file: "src/agent/ingest/mqtt/packet/parser.ts",
    from: "if (unseen && at < length) this.#keep(bytes, at, length);",
    to: "if (unseen && at < length) { MARK; this.#keep(bytes, at, length); }",
  },
  {
    name: "acknowledgements of a connection that is gone",
    file: "src/agent/ingest/mqtt/front/connection.ts",
    from: '    this.#inFlight.settle(count);\n    if (this.#state !== "ready") {',
    to: '    this.#inFlight.settle(count);\n    if (this.#state !== "ready") { MARK;',
  },
  // receive, from brokers elsewhere
  {
    name: "a broker lost our session",
    file: "src/agent/ingest/mqtt/subscriber/session.ts",
    from: "this.#host.counters.sessionsLost += 1;",
    to: "MARK, this.#host.counters.sessionsLost += 1;",
  },
  {
    name: "a broker fell silent",
    file: "src/agent/ingest/mqtt/subscriber/subscriber.ts",
    from: 'if (end.kind === "half-open" || end.kind === "unread") counters.halfOpen += 1;',
    to: 'if (end.kind === "half-open" || end.kind === "unread") { MARK; counters.halfOpen += 1; }',
  },
  {
    name: "a broker's message of QoS 2 came again",
    file: "src/agent/ingest/mqtt/subscriber/deliveries.ts",
    from: "    counters.resent += 1;",
    to: "    MARK; counters.resent += 1;",
  },
  {
    name: "a broker's send quota is used up",
    file: "src/agent/ingest/mqtt/subscriber/deliveries.ts",
    from: "    this.#isHurried = true;",
    to: "    MARK; this.#isHurried = true;",
  },
  {
    name: "a broker's message waits for room",
    file: "src/agent/ingest/mqtt/subscriber/deliveries.ts",
    from: "if (!receiver.receive(topic, bytes, payloadStart, end)) return false;",
    to: "if (!receiver.receive(topic, bytes, payloadStart, end)) return MARK, false;",
  },
  {
    name: "a broker's retained message is not a new one",
    file: "src/agent/ingest/mqtt/subscriber/deliveries.ts",
    from: "      counters.retainedIgnored += 1;",
    to: "      MARK; counters.retainedIgnored += 1;",
  },
  // append
  {
    name: "torn tail cut",
    file: "src/store/log/log-recovery.ts",
    from: "torn = offset + used - from;",
    to: "(MARK, torn = offset + used - from);",
  },
  {
    name: "segment recycled",
    file: "src/store/log/segment-pool.ts",
    from: "else this.#spares.push({ number, path, file: used.file, capacity: used.capacity });",
    to: "else { MARK; this.#spares.push({ number, path, file: used.file, capacity: used.capacity }); }",
  },
  {
    name: "log full, or the disk",
    file: "src/agent/loop.ts",
    from: "        // The frame was refused whole",
    to: "        MARK;\n        // The frame was refused whole",
  },
  {
    name: "log poisoned",
    file: "src/store/log/log.ts",
    from: "      this.#failure = cause;\n      if (isNew)",
    to: "      MARK; this.#failure = cause;\n      if (isNew)",
  },
  {
    name: "read tried again",
    file: "src/store/patient-disk.ts",
    from: "        await wait();",
    to: "        MARK; await wait();",
  },
  // apply
  {
    name: "suppressed replay",
    file: "src/agent/recovery.ts",
    from: "    outputs.muted = at < emittedThrough;",
    to: "    if (at < emittedThrough) MARK;\n    outputs.muted = at < emittedThrough;",
  },
  {
    name: "checkpoint restored",
    file: "src/agent/recovery.ts",
    from: "  dataflow.restore();",
    to: "  MARK; dataflow.restore();",
  },
  {
    name: "resend recognised",
    file: "src/edge-ops/accept.ts",
    from: "counts[cells + SOURCE_DUPLICATE]! += 1;",
    to: "MARK; counts[cells + SOURCE_DUPLICATE]! += 1;",
  },
  {
    name: "device from the future",
    file: "src/edge-ops/accept.ts",
    from: "counts[cells + SOURCE_QUARANTINED]! += 1;",
    to: "MARK; counts[cells + SOURCE_QUARANTINED]! += 1;",
  },
  {
    name: "clock not believed",
    file: "src/agent/clock-trust.ts",
    from: "    const trusted = this.isTrusted(now);",
    to: "    const trusted = this.isTrusted(now);\n    if (!trusted) MARK;",
  },
  {
    name: "late revision",
    file: "src/edge-ops/windows/panes.ts",
    from: "if (this.#marked[this.#slotOf(key, first)] === 1) this.#emit(key, first, emitter);\n  }\n\n  /** Marks",
    to: "if (this.#marked[this.#slotOf(key, first)] === 1) { MARK; this.#emit(key, first, emitter); }\n  }\n\n  /** Marks",
  },
  {
    name: "too late",
    file: "src/edge-ops/windows/panes.ts",
    from: "          late++;",
    to: "          MARK; late++;",
  },
  {
    name: "device idle",
    file: "src/edge-ops/watermarks.ts",
    from: "        this.expired[count++] = device;",
    to: "        MARK; this.expired[count++] = device;",
  },
  {
    name: "sessions merged",
    file: "src/edge-ops/windows/session.ts",
    from: "    mergeSlot(sessions.aggregates, earlier, sessions.aggregates, later);",
    to: "    MARK; mergeSlot(sessions.aggregates, earlier, sessions.aggregates, later);",
  },
  // commit
  {
    name: "commit without space",
    file: "src/agent/loop.ts",
    from: "        this.#commitTrouble = degradedBy(fault);\n        await",
    to: "        MARK; this.#commitTrouble = degradedBy(fault);\n        await",
  },
  {
    name: "commit lost",
    file: "src/agent/loop.ts",
    from: "    this.#commitLost = true;",
    to: "    MARK; this.#commitLost = true;",
  },
  {
    name: "outbox full",
    file: "src/store/state/state-store.ts",
    from: "      await new Promise<void>((resolve) => {\n        this.#waiting = {",
    to: "      MARK; await new Promise<void>((resolve) => {\n        this.#waiting = {",
  },
  {
    name: "summaries are merged in the outbox",
    file: "src/store/outbox/outbox-rollup.ts",
    from: "    if (isDone) this.#counts = counts;",
    to: "    if (isDone) { MARK; this.#counts = counts; }",
  },
  {
    name: "the outbox drops",
    file: "src/store/outbox/outbox-drop.ts",
    from: "    if (!isDone) return from;",
    to: "    if (!isDone) return from; MARK;",
  },
  {
    name: "a gap grows",
    file: "src/store/outbox/outbox-drop-plan.ts",
    from: '    if (record.kind === "gap") return;',
    to: '    if (record.kind === "gap") { MARK; return; }',
  },
  // tables
  {
    name: "frames wait for tables",
    file: "src/agent/loop.ts",
    from: "if (tables.isFull) return; // the flush will",
    to: "if (tables.isFull) return MARK; // the flush will",
  },
  {
    name: "memory flushed",
    file: "src/store/tables/table-store.ts",
    from: "    this.#flushes += 1;",
    to: "    MARK; this.#flushes += 1;",
  },
  {
    name: "late readings flushed",
    file: "src/store/tables/memory/flush.ts",
    from: "      const main = rows.subarray(lateCount);",
    to: "      const main = rows.subarray(lateCount);\n      if (lateCount > 0 && part.partition !== undefined) MARK;",
  },
  {
    name: "scattered readings flushed",
    file: "src/store/tables/memory/flush.ts",
    from: "    parts.push({ partition: undefined, range: allTime, keeps });",
    to: "    MARK; parts.push({ partition: undefined, range: allTime, keeps });",
  },
  {
    name: "tables merged",
    file: "src/store/tables/table-store.ts",
    from: "    this.#compactions += 1;",
    to: "    if (inputs.length > 1) MARK;\n    this.#compactions += 1;",
  },
  {
    name: "readings rolled up",
    file: "src/store/tables/table-store.ts",
    from: "    this.#bytesCompacted += table?.bytes ?? 0;",
    to: "    if (finest > 0) MARK;\n    this.#bytesCompacted += table?.bytes ?? 0;",
  },
  {
    name: "a table expired",
    file: "src/store/tables/table-store.ts",
    from: "      const expired = counts.expired + before;",
    to: "      MARK; const expired = counts.expired + before;",
  },
  {
    name: "a flush or a merge failed, or was stopped",
    file: "src/store/tables/table-store.ts",
    from: "        this.#dropFrom(firstId);",
    to: "        if (this.#nextId > firstId) MARK;\n        this.#dropFrom(firstId);",
  },
  {
    name: "the state store failed under a swap",
    file: "src/store/tables/table-store.ts",
    from: "    this.#failure = fault;",
    to: "    MARK; this.#failure = fault;",
  },
  {
    name: "an end before a swap: files of a flush or a merge are left",
    file: "src/store/tables/open-table-store.ts",
    from: "  files.openQuarantine();",
    to: "  if ([...found].some((id) => id >= listing.head.next)) MARK;\n  files.openQuarantine();",
  },
  {
    name: "an end behind a swap: files that it replaced are left",
    file: "src/store/tables/open-table-store.ts",
    from: "  await files.settle();",
    to: "  if (unlisted.some((id) => id < listing.head.next)) MARK;\n  await files.settle();",
  },
  {
    name: "tables are ahead of the checkpoint",
    file: "src/agent/recovery.ts",
    from: "  opened.defer(() => tables.close());",
    to: "  if (tables.through > from) MARK;\n  opened.defer(() => tables.close());",
  },
  {
    name: "the log gives back what the checkpoint has and tables do not",
    file: "src/agent/recovery.ts",
    from: "      tables.replay(",
    to: "      MARK; tables.replay(",
  },
  {
    name: "a flush between two steps of a merge",
    file: "src/store/tables/table-store.ts",
    from: "    if (this.#frozen !== undefined) await this.#flush(this.#frozen);",
    to: "    if (this.#frozen !== undefined) { MARK; await this.#flush(this.#frozen); }",
  },
  {
    name: "rows refused before the checkpoint stay refused",
    file: "src/store/tables/table-store.ts",
    from: "    const count = this.#refused.acceptedOf(at, batch.rows, accepted);",
    to: "    const count = this.#refused.acceptedOf(at, batch.rows, accepted);\n    if (count < batch.rows) MARK;",
  },
  {
    name: "what is in doubt is not merged and not dropped",
    file: "src/store/outbox/standings.ts",
    from: "? [] : [{ low, high }]",
    to: "? (MARK, []) : [{ low, high }]",
  },
  // drain
  // fresh first
  {
    name: "what is too old is put behind",
    file: "src/store/outbox/outbox-lanes.ts",
    from: "      await this.#storeSplit(uplink, old.split);",
    to: "      MARK; await this.#storeSplit(uplink, old.split);",
  },
  {
    name: "a correction follows what is behind",
    file: "src/store/outbox/outbox-lanes.ts",
    from: "        await this.#storeSplit(uplink, found.split);",
    to: "        MARK; await this.#storeSplit(uplink, found.split);",
  },
  {
    name: "what is fresh waits for backfill: too many ranges",
    file: "src/store/outbox/outbox-lanes.ts",
    from: '      case "wait":\n        return undefined;',
    to: '      case "wait":\n        return MARK, undefined;',
  },
  {
    name: "what was in doubt joins what is behind",
    file: "src/store/outbox/lane-reading.ts",
    from: "  const isMore = ranges.length > split.ranges.length;",
    to: "  if (split.ranges.some((range) => range.low === high)) MARK;\n  const isMore = ranges.length > split.ranges.length;",
  },
  {
    name: "blocks leave from the middle of a queue",
    file: "src/store/outbox/outbox.ts",
    from: "        else holes = withRange(",
    to: "        else MARK, holes = withRange(",
  },
  {
    name: "fencing, or an answer that says so",
    file: "src/sync/kafka/kafka-lane.ts",
    from: "        this.#failedIn = this.#session.state;",
    to: '        if (errorOf(error) === "INVALID_PRODUCER_EPOCH") MARK;\n        this.#failedIn = this.#session.state;',
  },
  {
    name: "reconciled: what was in doubt is committed",
    file: "src/sync/kafka/reconcile.ts",
    from: 'return go("committed",',
    to: 'return MARK, go("committed",',
  },
  {
    name: "reconciled: what was in doubt was aborted",
    file: "src/sync/kafka/reconcile.ts",
    from: "    if (wasThere || isSame(own, state.mark)) return",
    to: "    if (state.intent !== undefined && (wasThere || isSame(own, state.mark))) MARK;\n    if (wasThere || isSame(own, state.mark)) return",
  },
  {
    name: "cursor read from the topic",
    file: "src/sync/kafka/cursor-reading.ts",
    from: "    const cursor = cursorIn(value, { place: `the cursor in ${topic}`, key });",
    to: "    MARK; const cursor = cursorIn(value, { place: `the cursor in ${topic}`, key });",
  },
  {
    name: "batch made smaller",
    file: "src/sync/kafka/kafka-lane.ts",
    from: "      this.#batchBytesNow = Math.max(1, Math.floor(bytes / 2));",
    to: "      MARK; this.#batchBytesNow = Math.max(1, Math.floor(bytes / 2));",
  },
  {
    name: "a link holds a lane",
    file: "src/sync/pump.ts",
    from: '    return this.#admission.kind === "held" ? this.#admission.forMs : 0;',
    to: '    if (this.#admission.kind === "held") MARK;\n    return this.#admission.kind === "held" ? this.#admission.forMs : 0;',
  },
  {
    name: "a quota is used",
    file: "src/sync/link/link.ts",
    from: 'return this.#quotaLeft(lane) < limits.linkBatchBytesMin ? "quota-used" : undefined;',
    to: 'return this.#quotaLeft(lane) < limits.linkBatchBytesMin ? (MARK, "quota-used") : undefined;',
  },
  {
    name: "another link is used",
    file: "src/sync/pump.ts",
    from: "      if (this.#isElsewhere) {\n",
    to: "      if (this.#isElsewhere) {\n        MARK;\n",
  },
  {
    name: "a link is down",
    file: "src/sync/link/health.ts",
    from: "  const downUntilMs = isTrial || isDown ? nowMs + retryMs : undefined;",
    to: "  const downUntilMs = isTrial || isDown ? (MARK, nowMs + retryMs) : undefined;",
  },
  {
    name: "file cut to its cursor",
    file: "src/sync/file-lane.ts",
    from: "if ((await file.size()) > cursor.bytes) await file.truncate(cursor.bytes);",
    to: "if ((await file.size()) > cursor.bytes) { MARK; await file.truncate(cursor.bytes); }",
  },
  // markers
  {
    name: "a completeness marker leaves",
    file: "src/edge-ops/windows/completeness.ts",
    from: "    emitter.complete({",
    to: "    MARK; emitter.complete({",
  },
  {
    name: "a marker moves behind a merge",
    file: "src/store/outbox/outbox-rollup-plan.ts",
    from: "      markers.set(entry.marks, entry.bytes);",
    to: "      MARK; markers.set(entry.marks, entry.bytes);",
  },
  {
    name: "a marker is dropped",
    file: "src/store/outbox/outbox-drop-plan.ts",
    from: '    if (unit === "marker") {',
    to: '    if (unit === "marker") { MARK;',
  },
  // raw readings
  {
    name: "an alert asks for readings",
    file: "src/agent/raw/raw-answers.ts",
    from: "        this.#alertShare.stored(requests.length);",
    to: "        if (requests.length > 0) MARK; this.#alertShare.stored(requests.length);",
  },
  {
    name: "raw readings wait for room",
    file: "src/agent/raw/raw-answers.ts",
    from: "      if (!this.#hasRoom()) {",
    to: "      if (!this.#hasRoom()) { MARK;",
  },
  {
    name: "an answer goes on behind what is stored",
    file: "src/agent/raw/raw-answers.ts",
    from: "    const { cursor, from, to } = begun;",
    to: "    const { cursor, from, to } = begun; if (cursor !== undefined) MARK;",
  },
  {
    name: "a request is answered",
    file: "src/agent/raw/raw-answers.ts",
    from: "    const manifest = this.#manifest(request, outcome);",
    to: "    MARK; const manifest = this.#manifest(request, outcome);",
  },
];

declare global {
  var weirMark: ((name: string) => void) | undefined;
}

/** Calls `hear` at every mark that is passed from now on. */
export function hearMarks(hear: ((name: string) => void) | undefined): void {
  globalThis.weirMark = hear;
}

export const markEdits: readonly SourceEdit[] = marks.map(({ name, file, from, to }) => ({
  file,
  from,
  to: to.replace("MARK", `globalThis.weirMark?.(${JSON.stringify(name)})`),
}));
