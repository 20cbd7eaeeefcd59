/**
 * `weir restore --from-kafka`: new hardware takes the place of a gateway that is gone, from its newest
 * savepoint in the cluster.
 *
 *   find and fetch the savepoint -> take the name -> read what was sent since -> go on behind that
 *
 * The name is taken when the file is here and whole: a try that fails before leaves everything as it was,
 * one that fails afterwards may be made again.
 */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { PipelineSpec } from "../../edge-ops/spec.ts";
import type { SetHead } from "../../store/care/savepoint-set.ts";
import { restoreSavepoint } from "../../store/care/savepoint.ts";
import { opened } from "../../store/care/whole-files.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import type { Cluster } from "../../sync/kafka/cluster.ts";
import { hexOf } from "../../sync/kafka/kafka-uplink.ts";
import { type GoneOn, goOn, pipelinesIn, waitingIn } from "../../sync/kafka/savepoints/go-on.ts";
import { readSentSince } from "../../sync/kafka/savepoints/sent-since.ts";
import { fetchSet, findSets, type UpstreamSet } from "../../sync/kafka/savepoints/sets-upstream.ts";
import { takeName } from "../../sync/kafka/savepoints/take-name.ts";
import { concedeState } from "../concede-state.ts";
import { savepointTopicDefault } from "../config/kafka-config.ts";
import { bytesText } from "../config/quantity.ts";
import { systemClock } from "../doors/clock.ts";
import { readingDisk, systemDisk } from "../doors/disk.ts";
import { systemRandom } from "../doors/random.ts";
import { dataPaths } from "../start.ts";
import { kafkaName } from "../uplinks/uplink-to-kafka.ts";
import { behindCommands } from "../raw/command-positions.ts";
import { version } from "../version.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { kafkaOptions, kafkaTarget } from "./kafka-target.ts";
import { writingTo } from "./writing.ts";

const { kafka: _, topic: __, cursors: ___, ...sharedOptions } = kafkaOptions;

const options = {
  ...sharedOptions,
  "from-kafka": { type: "string" },
  topic: { type: "string" },
  data: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

type Place = {
  readonly agent: string;
  /** Of savepoints. */
  readonly topic: string;
  readonly data: string;
  /** In it: what is made, until it is whole. */
  readonly partial: string;
  readonly transactionMs: number;
  readonly clock: Clock;
};

type Restored = GoneOn & {
  readonly head: SetHead;
  readonly life: number;
  /** Records read to know what was sent. */
  readonly read: number;
  /** Values that are no record, and offsets that were to be read and have expired. */
  readonly unread: number;
  readonly expired: number;
  /** Latest event time that the old hardware had sent. */
  readonly newest: number | undefined;
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, options);
  refusePositionals(positionals);
  const clock = systemClock();
  const begunAt = clock.monotonic();
  const { topic, ...others } = values;
  const target = await kafkaTarget({ ...others, kafka: values["from-kafka"] }, clock);
  const { agent, configured, connect } = target;
  if (agent === undefined) throw new UsageError("say whose place to take: --agent NAME");
  const savepoints = topic ?? configured.savepoints ?? savepointTopicDefault;
  const data = await dataOf(values);
  const partial = join(data, partialName);
  refuseFull(data);
  const cluster = await connect();
  try {
    const { transactionMs } = configured;
    const place = { agent, topic: savepoints, data, partial, transactionMs, clock };
    const restored = await writingTo(data, () => restoreTo(cluster, place));
    tell({ agent, data, restored, seconds: (clock.monotonic() - begunAt) / 1_000 }, values.json);
    return exitCodes.ok;
  } finally {
    rmSync(partial, { recursive: true, force: true });
    await cluster.close();
  }
}

/** In the data directory, which may be a mount: what is moved within it is never on another one. */
const partialName = "restore.partial";

/** What an earlier try left is no data. */
function refuseFull(data: string): void {
  const found = existsSync(data) ? readdirSync(data).filter((name) => name !== partialName) : [];
  if (found.every((name) => name === "lost+found")) return;
  throw new Fault(
    "INPUT_INVALID",
    `${data} is there and not empty; what is restored goes into an empty data directory`,
    { facts: { data } },
  );
}

async function dataOf(values: {
  readonly data?: string | undefined;
  readonly config?: string | undefined;
}): Promise<string> {
  if (values.data !== undefined) return resolve(values.data);
  if (values.config === undefined) throw new UsageError("say where its data shall be: --data DIR");
  return resolve((await readConfig(values.config)).dataDirectory);
}

async function restoreTo(cluster: Cluster, place: Place): Promise<Restored> {
  const { agent, data, partial, transactionMs, clock } = place;
  rmSync(partial, { recursive: true, force: true });
  const [from, to] = [dataPaths(partial), dataPaths(data)];
  for (const directory of [data, partial]) await systemDisk.makeDirectory(directory);
  const file = join(partial, "upstream.savepoint");
  const { head } = await fetched(cluster, place, file);
  const raw = openKvLmdb({ path: from.state, bytesMax: limits.kvBytesMax });
  let restored: Restored;
  try {
    const kv = await openCheckedKv(raw);
    await restoreSavepoint(readingDisk, file, kv);
    const waiting = waitingIn(kv, kafkaName);
    const pipelines = pipelinesIn(kv);
    const taken = await takenName(cluster, { agent, head, transactionMs, clock });
    const takenAt = clock.now();
    const sent = await readSentSince(cluster, {
      agent,
      outboxes: new Set(
        taken.flatMap(({ cursor: { mark, before } }) => [mark, ...before].map((of) => of.outbox)),
      ),
      topics: [head.topics.summaries, head.topics.alerts],
      since: head.since,
      waiting: [...waiting.alerts, ...waiting.summaries],
      slides: slidesOf(pipelines),
    });
    const told = { uplink: kafkaName, agent, head, pipelines: pipelines.keys(), takenAt };
    const gone = await goOn(kv, { ...told, taken, waiting, sent });
    await concedeState(kv, sent.heldBack);
    const asked = await behindCommands((key) => kv.get(key), { uplink: kafkaName, cluster });
    if (asked !== undefined) await kv.commit([asked]);
    const life = taken[0]?.cursor.life ?? 0;
    const { records: read, unread, expired, newest } = sent;
    restored = { ...gone, head, life, read, unread, expired, newest };
  } finally {
    await raw.close();
  }
  // It has readings: an erasure would not find it.
  await systemDisk.remove(file);
  await systemDisk.syncDirectory(partial);
  // The data is there with its state, and not before: until then a failed try leaves the directory empty.
  await systemDisk.rename(from.state, to.state);
  for (const directory of [to.log, to.tables]) await systemDisk.makeDirectory(directory);
  await systemDisk.syncDirectory(data);
  await systemDisk.syncDirectory(join(data, ".."));
  return restored;
}

function slidesOf(pipelines: ReadonlyMap<string, PipelineSpec>): ReadonlyMap<string, number> {
  const slides = new Map<string, number>();
  for (const [name, spec] of pipelines) {
    if (spec.kind !== "window" || spec.window.kind !== "sliding") continue;
    slides.set(name, spec.window.sizeMs);
  }
  return slides;
}

/** The newest set of which every byte is there; says why others are passed over. */
async function fetched(
  cluster: Cluster,
  { agent, topic }: Place,
  file: string,
): Promise<UpstreamSet> {
  const { sets, refused } = await findSets(cluster, { topic, agent });
  for (const { slot, why } of refused) {
    console.error(`weir: the savepoint in slot ${slot} is passed over: ${why}`);
  }
  for (const set of sets) {
    try {
      await using target = await opened(systemDisk, file, true);
      await target.truncate(0);
      let bytes = 0;
      await fetchSet(cluster, set, async (piece) => {
        await target.write(piece, bytes);
        bytes += piece.length;
      });
      return set;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "INPUT_INVALID") throw error;
      console.error(`weir: ${error.message}; the one before is tried`);
    }
  }
  throw new Fault(
    "INPUT_INVALID",
    `${topic} has no whole savepoint of ${agent}: nothing was changed; check the name and the topic, or begin with an empty data directory`,
    { facts: { topic, agent } },
  );
}

async function takenName(
  cluster: Cluster,
  {
    agent,
    head,
    transactionMs,
    clock,
  }: Pick<Place, "agent" | "transactionMs" | "clock"> & { readonly head: SetHead },
) {
  const random = systemRandom();
  const { cursor: cursorTopic, ...topics } = head.topics;
  const taken = await takeName(cluster, {
    agent,
    version,
    topics,
    cursorTopic,
    transactionMs,
    clock,
    wait: (ms) => new Promise((done) => clock.after(ms, done)),
    boot: hexOf(random, 8),
    randomHex: (bytes) => hexOf(random, bytes),
  });
  if (taken.length > 0) return taken;
  throw new Fault(
    "INPUT_INVALID",
    `${cursorTopic} has no cursor of ${agent}, so nobody can tell what it has sent: nothing was changed; was the topic made anew? Begin with an empty data directory`,
    { facts: { topic: cursorTopic, agent } },
  );
}

function tell(
  {
    agent,
    data,
    restored,
    seconds,
  }: {
    readonly agent: string;
    readonly data: string;
    readonly restored: Restored;
    readonly seconds: number;
  },
  json: boolean,
): void {
  const { head, life, known, again, gaps, read, unread, expired, newest } = restored;
  if (unread > 0) {
    console.error(
      `weir: passed over ${counted(unread, "value")} under the name of ${agent} that cannot be read as a record`,
    );
  }
  if (expired > 0) {
    console.error(
      `weir: ${counted(expired, "offset")} behind the savepoint expired in the topics: what ${agent} sent there is not known, and may be sent again or poorer`,
    );
  }
  const lossMs = newest === undefined ? undefined : Math.max(0, newest - head.made);
  if (json) {
    const { made, position, bytes, chunks, number } = head;
    const savepoint = { number, made, position, bytes, chunks };
    const stateLossSeconds = lossMs === undefined ? null : lossMs / 1_000;
    const told = { agent, data, life, savepoint, stateLossSeconds, seconds };
    console.log(JSON.stringify({ ...told, read, unread, expired, known, again, gaps }));
    return;
  }
  const at = (ms: number): string => new Date(ms).toISOString();
  const loss =
    newest === undefined || lossMs === undefined
      ? "unknown: nothing was sent after the savepoint"
      : `${(lossMs / 1_000).toFixed(1)} s at least: the last record sent ends ${at(newest)}`;
  console.log(`weir: ${agent} restored to ${data}, life ${life} of the name
  savepoint   ${head.number} of ${at(head.made)}, position ${head.position}, ${bytesText(head.bytes)} in ${counted(head.chunks, "chunk")}
  state loss  ${loss}; readings after it that were in no sent summary are lost
  outbox      sent ${counted(again, "record")} that waited, ${known} were there already; ${counted(gaps, "gap record")}
  ready       after ${seconds.toFixed(1)} s; ${counted(read, "record")} read to know what was sent`);
}
