/** A start that fails leaves nothing open: neither the log, nor the state store, nor the lock. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { numberedFrame } from "../../test/support/frames.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { openLog } from "../store/log.ts";
import { boundDefaults, commitDefaults, type Config, sourceDefaults } from "./config/config.ts";
import { systemDisk } from "./doors/disk.ts";
import { dataPaths, startAgent } from "./start.ts";

const onFailed = (fault: Fault): void => {
  throw fault;
};

function configIn(dataDirectory: string): Config {
  return {
    agent: "gateway",
    dataDirectory,
    mqtt: { host: "127.0.0.1", port: 0, anonymous: true, users: [] },
    http: undefined,
    sources: [],
    pipelines: [],
    uplinks: [],
    commit: commitDefaults,
    ...boundDefaults,
  };
}

function folder(t: { after: (run: () => void) => void }): string {
  const path = mkdtempSync(join(tmpdir(), "weir-start-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Files of the directory that this process has open. */
function openFilesIn(directory: string): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((path) => path.startsWith(directory));
    } catch {
      return []; // the descriptor that listed the folder
    }
  });
}

const failures = {
  "that cannot read its log": {
    code: "FORMAT_TOO_NEW",
    prepare: async (directory: string): Promise<Config> => {
      const { log } = await openLog(systemDisk, {
        directory: dataPaths(directory).log,
        segmentBytes: limits.segmentBytes,
        bytesMax: limits.logBytesMax,
        random: seededRandom(1),
      });
      const config = { kind: "config", json: '{"version":2}' } as const;
      await log.append(numberedFrame(1, 0, { definitions: [config] }));
      await log.close();
      return configIn(directory);
    },
  },
  "whose topics make no sense": {
    code: "CONFIG_INVALID",
    prepare: async (directory: string): Promise<Config> => ({
      ...configIn(directory),
      sources: [{ ...sourceDefaults, name: "plant", topics: ["{"] }],
    }),
  },
  "whose port is not to be had": {
    code: "ADDRESS_UNAVAILABLE",
    prepare: async (directory: string): Promise<Config> => {
      const config = configIn(directory);
      return { ...config, mqtt: { ...config.mqtt, host: "192.0.2.1" } };
    },
  },
};

for (const [what, { code, prepare }] of Object.entries(failures)) {
  test(`a start ${what} fails each time the same, and leaves nothing open`, {
    skip: process.platform !== "linux" && "needs /proc/self/fd",
  }, async (t) => {
    const directory = folder(t);
    const config = await prepare(directory);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(startAgent(config, { onFailed }), (error) => {
        return error instanceof Fault && error.code === code;
      });
      assert.deepEqual(openFilesIn(directory), []);
    }
  });
}
