/** `weir upstream verify`: reads what agents have in Kafka and proves that it is whole. */

import { sentenceOf } from "../../sync/kafka/upstream/break.ts";
import { type Progress, verifyUpstream } from "../../sync/kafka/upstream/verify-upstream.ts";
import { systemClock } from "../doors/clock.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { kafkaOptions, kafkaTarget, refuseMissing } from "./kafka-target.ts";
import { provenText } from "./verify-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...kafkaOptions,
    "begun-elsewhere": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const [action, ...rest] = positionals;
  if (action !== "verify") throw new UsageError("say verify");
  refusePositionals(rest);
  const clock = systemClock();
  const { agent, topics, named, cursorTopic, connect } = await kafkaTarget(values, clock);
  const cluster = await connect();
  const line = progressLine();
  try {
    await refuseMissing(cluster, named);
    const verdict = await verifyUpstream(cluster, {
      agent,
      topics,
      cursorTopic,
      mayBeginLater: values["begun-elsewhere"],
      clock,
      onProgress: line.show,
    });
    line.clear();
    if (values.json) console.log(JSON.stringify(verdict));
    else if (verdict.kind === "proven")
      for (const each of verdict.agents) console.log(provenText(each));
    if (verdict.kind === "proven") return exitCodes.ok;
    console.error(`weir: ${verdict.agent}: ${sentenceOf(verdict.first)}`);
    return exitCodes.failed;
  } finally {
    line.clear();
    await cluster.close();
  }
}

const drawMs = 200;

/** One line that is drawn over, on a terminal; nothing elsewhere. */
function progressLine(): {
  readonly show: (progress: Progress) => void;
  readonly clear: () => void;
} {
  let drawnAt = -Infinity;
  const { stderr } = process;
  return {
    show: ({ agent, topic, read, all }) => {
      if (!stderr.isTTY || performance.now() - drawnAt < drawMs) return;
      drawnAt = performance.now();
      const share = all === 0 ? 100 : Math.min(100, Math.floor((100 * read) / all));
      stderr.write(`\r\u001b[2K${agent}: ${topic} ${share} %`);
    },
    clear: () => {
      if (drawnAt > -Infinity) stderr.write("\r\u001b[2K");
      drawnAt = -Infinity;
    },
  };
}
