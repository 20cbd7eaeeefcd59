import assert from "node:assert/strict";
import { mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { freePort, startAgentProcess } from "../../../test/support/agent-process.ts";

/** What an agent with this ceiling says at its start, and what the C library was told by its environment. */
async function started(memory: string): Promise<{ said: string; heap: readonly string[] }> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-heap-"));
  const config = join(folder.path, "weir.yaml");
  writeFileSync(
    config,
    `version: 1
mqtt: { port: ${await freePort()} }
http: off
sources: [{ name: plant, topics: ["plant/{device}"] }]
limits: { memory: ${memory} }
`,
  );
  const agent = await startAgentProcess(["run", "-c", config]);
  try {
    const environment = readFileSync(`/proc/${agent.child.pid}/environ`, "utf8").split("\0");
    const heap = environment.filter((each) => each.startsWith("MALLOC_"));
    return { said: agent.output(), heap };
  } finally {
    assert.equal(await agent.kill("SIGTERM"), 0);
  }
}

const isLinux = process.platform === "linux";
const unset = process.env["MALLOC_ARENA_MAX"] === undefined;

test("under a small ceiling the process starts anew with one heap, and says its ceiling", {
  skip: !(isLinux && unset),
}, async () => {
  const { said, heap } = await started("96MiB");
  assert.deepEqual(heap.toSorted(), ["MALLOC_ARENA_MAX=1", "MALLOC_MMAP_THRESHOLD_=65536"]);
  assert.match(said, /weir: started .* memory=96 MiB by limits\.memory/);
  assert.equal(said.match(/nothing is computed/g)?.length, 1, "warnings are said once");
});

test("without a ceiling it does not", { skip: !(isLinux && unset) }, async () => {
  const { said, heap } = await started("off");
  assert.deepEqual(heap, []);
  assert.match(said, /memory=no ceiling/);
});
