/**
 * `npm run -s bench -- <name> [--json] [--tiny]`: one benchmark, one question. With --json one line
 * with one JSON object on stdout, else something for people. --tiny runs it with tiny inputs: the
 * figures are then worth nothing, but it is seen to run.
 */

import { parseArgs } from "node:util";

/** A benchmark as this program sees it: figures for machines, text for people. */
type Benchmark = {
  readonly question: string;
  readonly run: (
    tiny: boolean,
    days: number | undefined,
    minutes: number | undefined,
  ) => Promise<{ readonly figures: object; readonly text: string }>;
};

/** Each is loaded when it is asked for. */
const benchmarks: Readonly<Record<string, Benchmark>> = {
  bridge: {
    question: "How fast does the MQTT bridge drain, and how late is an alert here and behind it?",
    run: async (tiny) => {
      const { defaults, runBridge, tinyOptions } = await import("./bridge.ts");
      const figures = await runBridge(tiny ? tinyOptions : defaults);
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  ceiling: {
    question: "Does the agent keep a ceiling on memory, uplink down? Takes root. (--minutes 10)",
    run: async (tiny, _days, minutes) => {
      const { defaults, runCeiling, tinyOptions } = await import("./ceiling.ts");
      const options = tiny ? tinyOptions : defaults;
      const outcome = await runCeiling({ ...options, minutes: minutes ?? options.minutes });
      if (outcome.kind === "skipped") throw new Error(`not on this machine: ${outcome.reason}`);
      const { figures } = outcome;
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  ingest: {
    question: "What does one message cost, from the socket to a synced log and an updated window?",
    run: async (tiny) => {
      const { defaults, runIngest } = await import("./ingest.ts");
      const options = tiny ? { rounds: 1, warmupMs: 200, measureMs: 500 } : defaults;
      const figures = await runIngest(options);
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  external: {
    question:
      "What does a message from an external broker cost, beside MQTT.js on the same Mosquitto?",
    run: async (tiny) => {
      const { defaults, runExternal, textOf, tinyOptions } = await import("./external.ts");
      const figures = await runExternal(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  operators: {
    question: "What does one reading cost in each operator, in nanoseconds and in bytes of state?",
    run: async (tiny) => {
      const { defaults, run, textOf, tinyOptions } = await import("./operators.ts");
      const figures = run(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  doors: {
    question: "What do TLS and WebSocket cost, a connection and a byte?",
    run: async (tiny) => {
      const { defaults, runDoors, textOf, tinyOptions } = await import("./doors.ts");
      const figures = await runDoors(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  "node-red": {
    question: "What do windows cost Node-RED: in function nodes, in our nodes, in the agent?",
    run: async (tiny) => {
      const { defaults, runNodeRed, textOf, tinyOptions } = await import("./node-red.ts");
      const figures = await runNodeRed(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  posted: {
    question: "What does a message cost that is posted over HTTP, by messages of a body?",
    run: async (tiny) => {
      const { defaults, runPosted, textOf, tinyOptions } = await import("./posted.ts");
      const figures = await runPosted(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  fairness: {
    question: "What does one hostile or chatty client cost the others?",
    run: async (tiny) => {
      const { defaults, runFairness, tinyOptions } = await import("./fairness.ts");
      const figures = await runFairness(tiny ? tinyOptions : defaults);
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  month: {
    question: "Does a month of readings fit, and is it answered at once? (--days 30)",
    run: async (tiny, days) => {
      const { defaults, runMonth, tinyOptions } = await import("./month.ts");
      const options = tiny ? tinyOptions : defaults;
      const figures = await runMonth({ ...options, days: days ?? options.days });
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  store: {
    question:
      "What does a reading take in a table and on the device, and what does it cost to write, read and merge it?",
    run: async (tiny) => {
      const codecs = await import("./store.ts");
      const device = await import("./device.ts");
      const compaction = await import("./compaction.ts");
      const of = tiny ? ("tinyOptions" as const) : ("defaults" as const);
      const figures = await codecs.runStore(codecs[of]);
      const written = await device.runDevice(device[of]);
      if (written.kind === "skipped")
        console.error(`bytes on the device skipped: ${written.reason}`);
      const others = {
        ...(written.kind === "skipped" ? {} : written.figures),
        ...(await compaction.runCompaction(compaction[of])),
      };
      return {
        figures: { ...figures, ...others },
        text: `${codecs.textOf(figures)}\n${JSON.stringify(others, undefined, 2)}`,
      };
    },
  },
  outage: {
    question:
      "After a week away: when is what is fresh upstream, and does the drain keep to the link?",
    run: async (tiny) => {
      const { defaults, runOutage, tinyOptions } = await import("./outage.ts");
      const figures = await runOutage(tiny ? tinyOptions : defaults);
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  uplink: {
    question: "How fast does a full outbox drain into Kafka, and how late is an alert there?",
    run: async (tiny) => {
      const { defaults, runUplink, tinyOptions } = await import("./uplink.ts");
      const figures = await runUplink(tiny ? tinyOptions : defaults);
      return { figures, text: JSON.stringify(figures, undefined, 2) };
    },
  },
  wire: {
    question: "How many bytes go over the uplink, beside the same readings as raw JSON?",
    run: async (tiny) => {
      const { defaults, runWire, textOf, tinyOptions } = await import("./wire.ts");
      const figures = await runWire(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
  packed: {
    question: "What does the one packed file cost: size, start, memory idle and loaded?",
    run: async (tiny) => {
      const { defaults, runPacked, textOf, tinyOptions } = await import("./packed.ts");
      const figures = await runPacked(tiny ? tinyOptions : defaults);
      return { figures, text: textOf(figures) };
    },
  },
};

const EXIT_USAGE = 2;

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const options = {
    json: { type: "boolean" },
    tiny: { type: "boolean" },
    days: { type: "string" },
    minutes: { type: "string" },
    help: { type: "boolean" },
  } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args: [...words], options, allowPositionals: true });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage()}`);
    return EXIT_USAGE;
  }
  const { values, positionals } = parsed;
  if (values.help === true) {
    console.log(usage());
    return 0;
  }
  const [name = "", ...rest] = positionals;
  const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  if (benchmark === undefined || rest.length > 0) {
    console.error(usage());
    return EXIT_USAGE;
  }
  const [days, minutes] = [values.days, values.minutes].map((text) =>
    text === undefined ? undefined : Number(text),
  );
  if ([days, minutes].some((number) => number !== undefined && !(number > 0))) {
    console.error(usage());
    return EXIT_USAGE;
  }
  const { figures, text } = await benchmark.run(values.tiny === true, days, minutes);
  console.log(values.json === true ? JSON.stringify(figures) : text);
  return 0;
}

function usage(): string {
  const width = Math.max(...Object.keys(benchmarks).map((name) => name.length));
  const lines = Object.entries(benchmarks).map(
    ([name, { question }]) => `  ${name.padEnd(width)}  ${question}`,
  );
  return ["usage: npm run -s bench -- <name> [--json] [--tiny]", "", ...lines].join("\n");
}
