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
import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { SetHead } from "../../store/care/savepoint-set.ts";
import { restoreSavepoint } from "../../store/care/savepoint.ts";
import { opened } from "../../store/care/whole-files.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import type { Cluster } from "../../sync/kafka/cluster.ts";
import { hexOf } from "../../sync/kafka/kafka-uplink.ts";
import { type GoneOn, goOn, waitingIn } from "../../sync/kafka/savepoints/go-on.ts";
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
import { kafkaName } from "../uplink-to-kafka.ts";
import { behindCommands } from "../raw/command-positions.ts";
import { version } from "../version.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { kafkaOptions, kafkaTarget } from "./kafka-target.ts";
import { writingTo } from "./writing.ts";

const { kafka: _, topic: __, ...sharedOptions } = kafkaOptions;

const options = {
  ...sharedOptions,
  "from-kafka": { type: "string" },
  topic: { type: "string" },
  summaries: { type: "string" },
  alerts: { type: "string" },
  raw: { type: "string" },
  data: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

type Place = {
  readonly agent: string;
  readonly topics: {
    readonly summaries: string;
    readonly alerts: string;
    readonly raw: string;
    readonly cursor: string;
    readonly savepoints: string;
  };
  /** The data directory, as it is while it is made. */
  readonly partial: string;
  readonly clock: Clock;
};

type Restored = GoneOn & {
  readonly head: SetHead;
  readonly life: number;
  /** Records read to know what was sent. */
  readonly read: number;
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
  const { agent, configured, cursorTopic, connect } = target;
  if (agent === undefined) throw new UsageError("say whose place to take: --agent NAME");
  const { summaries, alerts, raw } = { ...configured.topics, ...named(values) };
  const savepoints = topic ?? configured.savepoints ?? savepointTopicDefault;
  const data = await dataOf(values);
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new Fault(
      "INPUT_INVALID",
      `${data} is there and not empty; what is restored goes into an empty data directory`,
      { facts: { data } },
    );
  }
  const partial = `${data}.partial`;
  const topics = { summaries, alerts, raw, cursor: cursorTopic, savepoints };
  const cluster = await connect();
  try {
    const restored = await writingTo(data, () =>
      restoreTo(data, cluster, { agent, topics, partial, clock }),
    );
    tell({ agent, data, restored, seconds: (clock.monotonic() - begunAt) / 1_000 }, values.json);
    return exitCodes.ok;
  } finally {
    rmSync(partial, { recursive: true, force: true });
    await cluster.close();
  }
}

function named(values: {
  readonly summaries?: string | undefined;
  readonly alerts?: string | undefined;
  readonly raw?: string | undefined;
}): { readonly summaries?: string; readonly alerts?: string; readonly raw?: string } {
  const { summaries, alerts, raw } = values;
  return {
    ...(summaries === undefined ? {} : { summaries }),
    ...(alerts === undefined ? {} : { alerts }),
    ...(raw === undefined ? {} : { raw }),
  };
}

async function dataOf(values: {
  readonly data?: string | undefined;
  readonly config?: string | undefined;
}): Promise<string> {
  if (values.data !== undefined) return resolve(values.data);
  if (values.config === undefined) throw new UsageError("say where its data shall be: --data DIR");
  return resolve((await readConfig(values.config)).dataDirectory);
}

async function restoreTo(data: string, cluster: Cluster, place: Place): Promise<Restored> {
  const { partial } = place;
  rmSync(partial, { recursive: true, force: true });
  const paths = dataPaths(partial);
  for (const directory of [partial, paths.log, paths.tables]) {
    await systemDisk.makeDirectory(directory);
  }
  const file = join(partial, "upstream.savepoint");
  const { head } = await fetched(cluster, place, file);
  const raw = openKvLmdb({ path: paths.state, bytesMax: limits.kvBytesMax });
  let restored: Restored;
  try {
    const kv = await openCheckedKv(raw);
    await restoreSavepoint(readingDisk, file, kv);
    const waiting = waitingIn(kv);
    const taken = await takenName(cluster, place);
    const sent = await readSentSince(cluster, {
      agent: place.agent,
      outboxes: new Set(
        taken.flatMap(({ cursor: { mark, before } }) => [mark, ...before].map((of) => of.outbox)),
      ),
      topics: [place.topics.summaries, place.topics.alerts],
      since: head.since,
      waiting: [...waiting.alerts, ...waiting.summaries],
    });
    const options = { uplink: kafkaName, agent: place.agent, head, taken, waiting, sent };
    const gone = await goOn(kv, options);
    await concedeState(kv, sent.heldBack);
    const asked = await behindCommands((key) => kv.get(key), { uplink: kafkaName, cluster });
    if (asked !== undefined) await kv.commit([asked]);
    const life = taken[0]?.cursor.life ?? 0;
    restored = { ...gone, head, life, read: sent.records, newest: sent.newest };
  } finally {
    await raw.close();
  }
  await systemDisk.remove(file);
  await systemDisk.syncDirectory(partial);
  await systemDisk.rename(partial, data);
  await systemDisk.syncDirectory(join(data, ".."));
  return restored;
}

/** The newest set of which every byte is there; says why others are passed over. */
async function fetched(
  cluster: Cluster,
  { agent, topics: { savepoints: topic } }: Place,
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

async function takenName(cluster: Cluster, { agent, topics, clock }: Place) {
  const random = systemRandom();
  const taken = await takeName(cluster, {
    agent,
    version,
    topics,
    cursorTopic: topics.cursor,
    clock,
    wait: (ms) => new Promise((done) => clock.after(ms, done)),
    boot: hexOf(random, 8),
    randomHex: (bytes) => hexOf(random, bytes),
  });
  if (taken.length > 0) return taken;
  throw new Fault(
    "INPUT_INVALID",
    `${topics.cursor} has no cursor of ${agent}, so nobody can tell what it has sent; name the topic of cursors with --cursors, or use -c with its configuration`,
    { facts: { topic: topics.cursor, agent } },
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
  const { head, life, known, again, gaps, read, newest } = restored;
  const lossMs = newest === undefined ? 0 : Math.max(0, newest - head.made);
  const loss = (lossMs / 1_000).toFixed(1);
  if (json) {
    const { made, position, bytes, chunks, number } = head;
    const savepoint = { number, made, position, bytes, chunks };
    const loss = { stateLossSeconds: lossMs / 1_000, seconds };
    console.log(
      JSON.stringify({ agent, data, life, savepoint, ...loss, read, known, again, gaps }),
    );
    return;
  }
  const at = (ms: number): string => new Date(ms).toISOString();
  const until =
    newest === undefined ? "nothing was sent after it" : `the last record sent ends ${at(newest)}`;
  console.log(`weir: ${agent} restored to ${data}, life ${life} of the name
  savepoint   ${head.number} of ${at(head.made)}, position ${head.position}, ${bytesText(head.bytes)} in ${head.chunks} chunks
  state loss  ${loss} s at least: ${until}; readings between that were in no sent summary are lost
  outbox      ${again} records that waited are sent, ${known} were there already; ${gaps} gap records
  ready       after ${seconds.toFixed(1)} s; ${read} records read to know what was sent`);
}
