/** A start that fails leaves nothing open: neither the log, nor the state store, nor the lock. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { numberedFrame } from "../../test/support/frames.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import type { Disk } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { openLog } from "../store/log/log.ts";
import {
  boundDefaults,
  commitDefaults,
  type Config,
  fileUplinkDefaults,
  ownTopicsDefaults,
  sourceDefaults,
  storeDefaults,
} from "./config/config.ts";
import { systemDisk } from "./doors/disk.ts";
import { checkStateFile } from "./doors/state-file.ts";
import { dataPaths, openAgentOnDoors, startAgent } from "./start.ts";

const onFailed = (fault: Fault): void => {
  throw fault;
};

function configIn(dataDirectory: string): Config {
  return {
    agent: "gateway",
    dataDirectory,
    mqtt: { host: "127.0.0.1", port: 0, anonymous: true, users: [] },
    ownTopics: ownTopicsDefaults,
    http: undefined,
    brokers: [],
    sources: [],
    pipelines: [],
    uplinks: [],
    links: [],
    commit: commitDefaults,
    store: storeDefaults,
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
  "whose state store is no LMDB file": {
    code: "STORE_FAILED",
    prepare: async (directory: string): Promise<Config> => {
      writeFileSync(dataPaths(directory).state, Buffer.alloc(12_288, "no database "));
      return configIn(directory);
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

test("a state store that begins otherwise than LMDB's is refused with what to do, a real one is not", async (t) => {
  const directory = folder(t);
  const { state } = dataPaths(directory);
  await checkStateFile(state);
  const agent = await startAgent(configIn(directory), { onFailed });
  await checkStateFile(state); // beside the running agent, as `weir dlq` does
  await agent.close();
  const whole = readFileSync(state);
  const pageSize = whole.readUInt32LE(48);
  const broken = {
    "a few bytes": whole.subarray(0, 30),
    "the first page only": whole.subarray(0, pageSize),
    zeros: Buffer.alloc(whole.length),
    "another version": Buffer.from(whole).fill(9, 28, 29),
    "a second page of something else": Buffer.from(whole).fill(9, pageSize, 2 * pageSize),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    writeFileSync(state, bytes);
    await assert.rejects(checkStateFile(state), (error) => {
      assert.ok(error instanceof Fault && error.code === "STORE_FAILED", what);
      return error.message.includes(state) && /restore .* or remove/i.test(error.message);
    });
  }
  // A pipe is empty, and LMDB would wait for its writer.
  rmSync(state);
  assert.equal(spawnSync("mkfifo", [state]).status, 0);
  await assert.rejects(checkStateFile(state), /is no regular file/);
  rmSync(state);
  for (const bytes of [Buffer.alloc(0), whole]) {
    writeFileSync(state, bytes);
    await (await startAgent(configIn(directory), { onFailed })).close();
  }
});

/**
 * A quota on a network file system, which says so when a folder is synced: there is space, and none
 * of it for this user until the reserve is given up.
 */
function underQuota(reserve: string): Disk {
  let isUsedUp = true;
  return {
    open: (path, options) => systemDisk.open(path, options),
    list: (directory) => systemDisk.list(directory),
    makeDirectory: (path) => systemDisk.makeDirectory(path),
    rename: (from, to) => systemDisk.rename(from, to),
    remove: async (path) => {
      await systemDisk.remove(path);
      if (path === reserve) isUsedUp = false;
    },
    syncDirectory: async (path) => {
      if (isUsedUp) {
        throw Object.assign(new Error("EDQUOT: disk quota exceeded, fsync"), { code: "EDQUOT" });
      }
      await systemDisk.syncDirectory(path);
    },
    freeBytes: (path) => systemDisk.freeBytes(path),
  };
}

test("a start that finds the quota used up gives the reserve up, and the next one has its space", async (t) => {
  const directory = folder(t);
  const { reserve } = dataPaths(directory);
  writeFileSync(reserve, Buffer.alloc(4_096));
  const options = { disk: underQuota(reserve), onFailed };
  const started = async (): Promise<void> => {
    await (await openAgentOnDoors(configIn(directory), options)).close();
  };
  await assert.rejects(started, { code: "EDQUOT" });
  assert.equal(existsSync(reserve), false);
  await started();
});

const isLinux = process.platform === "linux";
const uplinkTo = (directory: string) => ({ ...fileUplinkDefaults, directory });

test("two agents do not write to one uplink directory", {
  skip: !isLinux && "locks need the abstract sockets of Linux",
}, async (t) => {
  const directory = folder(t);
  const upstream = join(directory, "upstream");
  const config = (name: string): Config => ({
    ...configIn(join(directory, name)),
    uplinks: [uplinkTo(upstream)],
  });
  const first = await startAgent(config("a"), { onFailed });
  t.after(() => first.close());
  await assert.rejects(startAgent(config("b"), { onFailed }), (error) => {
    assert.ok(error instanceof Fault && error.code === "DIRECTORY_IN_USE");
    return error.message.includes(`uplink directory ${upstream}`);
  });
  assert.deepEqual(openFilesIn(join(directory, "b")), []);
  // What the refused one had locked is free again.
  await (await startAgent(configIn(join(directory, "b")), { onFailed })).close();
  await first.close();
  await (await startAgent(config("b"), { onFailed })).close();
});

test("an uplink directory that is the data directory does not lock the agent out", async (t) => {
  const directory = folder(t);
  const data = join(directory, "data");
  mkdirSync(data);
  symlinkSync(data, join(directory, "same"));
  const uplinks = [uplinkTo(data), uplinkTo(join(directory, "same"))];
  for (let i = 0; i < 2; i++) {
    await (await startAgent({ ...configIn(data), uplinks }, { onFailed })).close();
  }
});
