/** `weir tail --kafka`: what agents send, as it comes, with a word for what each record is. */

import { Fault } from "../../core/faults.ts";
import { type Glob, globOf } from "../../core/glob.ts";
import { limits } from "../../core/limits.ts";
import type { FetchedRecord } from "../../sync/kafka/cluster.ts";
import { followTopics } from "../../sync/kafka/upstream/follow-topics.ts";
import { UpstreamReader } from "../../sync/kafka/upstream/reader.ts";
import { openRecordReader } from "../../sync/kafka/upstream/record-reader.ts";
import { partsOfKey } from "../../sync/kafka/upstream/upstream-message.ts";
import { systemClock } from "../doors/clock.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { kafkaOptions, type KafkaTarget, kafkaTarget, noTopic } from "./kafka-target.ts";
import { secondsOption, stopSignal } from "./stop-signal.ts";
import { type Tailed, tailLine } from "./tail-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...kafkaOptions,
    pipeline: { type: "string" },
    key: { type: "string" },
    all: { type: "boolean", default: false },
    "no-follow": { type: "boolean", default: false },
    seconds: { type: "string" },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const seconds = secondsOption(values.seconds);
  const clock = systemClock();
  const target = await kafkaTarget(values, clock);
  let isOver = false;
  void stopSignal({ seconds }).stopped.then(() => {
    isOver = true;
  });
  const chosen = chosenBy({ agent: target.agent, pipeline: values.pipeline, key: values.key });
  const follow = {
    topics: target.topics,
    takes: chosen,
    from: values.all ? "beginning" : "end",
    endsThere: values["no-follow"],
    connect: target.connect,
    clock,
    onMissing: (topics: readonly string[]) => tellMissing(topics, target),
    onTrouble: (error: Error) => console.error(`weir: ${error.message}; trying again`),
  } as const;
  const read = openRecordReader();
  const reader = new UpstreamReader({ windowsMax: limits.verifyWindowsMax });
  for await (const message of followTopics(follow, () => isOver || !process.stdout.writable)) {
    const { at, lane, value } = message;
    const place = `${at.topic}/${at.partition} at offset ${at.offset}`;
    try {
      const decoded = await read(value, place);
      const tailed: Tailed = { ...decoded, at, lane, standing: reader.take(decoded) };
      console.log(values.json ? JSON.stringify(tailed) : tailLine(tailed));
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "STORE_FAILED") throw error;
      console.error(`weir: ${place}: this is no record that this weir knows`);
    }
  }
  return exitCodes.ok;
}

/** What nobody named may come later; that it is not there is said, as it is not shown then. */
function tellMissing(missing: readonly string[], { topics, named }: KafkaTarget): void {
  const wanted = missing.find((topic) => named.includes(topic));
  if (wanted !== undefined) throw noTopic(wanted);
  if (missing.length === topics.length) {
    const what = `the cluster has none of ${missing.join(", ")}: has an agent sent anything there yet? Name others with --topic`;
    throw new Fault("INPUT_INVALID", what);
  }
  console.error(
    `weir: the cluster has no topic ${missing.join(", ")} yet: to see what comes there, begin again when it has`,
  );
}

/** By the key of a record alone, before it is decoded; each a name, or a pattern with *. */
function chosenBy(wanted: {
  readonly agent: string | undefined;
  readonly pipeline: string | undefined;
  readonly key: string | undefined;
}): (record: FetchedRecord) => boolean {
  const globs = Object.fromEntries(
    Object.entries(wanted).map(([part, pattern]) => [part, pattern && globOf(pattern)]),
  );
  const fits = (glob: Glob | string | undefined, text: string): boolean =>
    typeof glob !== "function" || glob(text);
  return (record) => {
    if (record.key === undefined) return false;
    const { agent, pipeline, name } = partsOfKey(Buffer.from(record.key).toString("utf8"));
    return (
      fits(globs["agent"], agent) && fits(globs["pipeline"], pipeline) && fits(globs["key"], name)
    );
  };
}
