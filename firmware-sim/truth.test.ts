import assert from "node:assert/strict";
import { test } from "node:test";
import type { Message } from "./event.ts";
import type { Fault } from "./fault.ts";
import { limits } from "./limits.ts";
import { Truth, type TruthLine } from "./truth.ts";

const fault: Fault = {
  device: "pump-0001",
  kind: "duplicate",
  metric: undefined,
  start: 1_000,
  end: 5_000,
  magnitude: 1,
};

function message(role: "original" | "copy"): Message {
  const truth = { role, readings: 3, values: [], faults: [fault] } as const;
  return { topic: "t", payload: Buffer.from("1"), qos: 1, dup: false, truth };
}

function open(lines: TruthLine[]): Truth {
  const programs = [{ device: "pump-0001", timed: true, events: [].values() }];
  const write = (line: TruthLine): void => void lines.push(line);
  return new Truth({ epochMs: 100_000, programs, header: { seed: 1 }, write });
}

test("a fault is written once nothing of it can still be under way", () => {
  const lines: TruthLine[] = [];
  const truth = open(lines);
  truth.begin(fault);
  truth.sent(0, message("original"));
  truth.settle(5_000 + limits.holdMsMax);
  assert.equal(lines.length, 1);
  truth.settle(5_000 + limits.holdMsMax + limits.copyDelayMsMax);
  assert.deepEqual(JSON.parse(JSON.stringify(lines[1])), {
    line: "fault",
    device: "pump-0001",
    kind: "duplicate",
    start: 101_000,
    end: 105_000,
    magnitude: 1,
    messages: 1,
  });
});

test("a fault that outlives the run ends with it", () => {
  const lines: TruthLine[] = [];
  const truth = open(lines);
  truth.begin(fault);
  truth.close(2_500.4);
  assert.equal(lines[1]?.["end"], 102_500);
});

test("copies count as messages but their readings do not count twice", () => {
  const lines: TruthLine[] = [];
  const truth = open(lines);
  truth.sent(0, message("original"));
  truth.sent(0, message("copy"));
  truth.acked(0);
  truth.dropped(0, 2, 5);
  truth.close(0);
  assert.deepEqual(lines.at(-1), {
    line: "device",
    device: "pump-0001",
    timed: true,
    messages: 2,
    readings: 3,
    duplicates: 1,
    duplicateReadings: 3,
    qos1: 2,
    acked: 1,
    dropped: 2,
    droppedReadings: 5,
  });
});
