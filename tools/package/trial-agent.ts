/** What trials of packages ask of an agent that runs somewhere else. */

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { Publisher } from "../../test/support/publisher.ts";

/** Under emulation it takes some seconds. */
const startMsMax = 60_000;

/** Runs it and prints the claim with what it gives; it throws where the claim is wrong. */
export async function step(
  claim: string,
  run: () => string | undefined | Promise<string | undefined>,
): Promise<void> {
  const beganAt = performance.now();
  const said = await run();
  const seconds = ((performance.now() - beganAt) / 1_000).toFixed(1);
  console.log(`ok   ${claim}${said ? `: ${said}` : ""} (${seconds} s)`);
}

/** Readings of one series, with the values `from`, `from + 1`, ...; resolves when all are acknowledged. */
export async function publish({
  port,
  from = 0,
  count,
}: {
  readonly port: number;
  readonly from?: number;
  readonly count: number;
}): Promise<void> {
  const publisher = new Publisher({ port, clientId: "sensor", window: 10 });
  for (let n = from; n < from + count; n++) {
    await publisher.publish("plant/a/p1/state", JSON.stringify({ temperature: n }));
  }
  await publisher.settled();
  publisher.close();
}

/** `lines` of `weir query --readings --json` have the values 0, 1, ... each once, and no others. */
export function assertReadings(lines: string, count: number): void {
  const values = lines
    .trim()
    .split("\n")
    .flatMap((row) => {
      const { value } = JSON.parse(row) as { readonly value?: number };
      return value === undefined ? [] : [value];
    });
  assert.deepEqual(
    values.toSorted((one, other) => one - other),
    [...Array(count).keys()],
  );
}

/** Resolves when `weir run` says so; rejects with what it has said where it ends or takes too long. */
export async function saysStarted(child: ChildProcess): Promise<void> {
  let said = "";
  const started = new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`it does not start:\n${said}`)), startMsMax);
    const look = (text: Buffer): void => {
      said += text.toString();
      if (!said.includes("weir: started")) return;
      clearTimeout(late);
      resolve();
    };
    child.stdout?.on("data", look);
    child.stderr?.on("data", look);
    child.on("exit", () => {
      clearTimeout(late);
      reject(new Error(`it ended:\n${said}`));
    });
  });
  await started;
}
