import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCommand } from "./arguments.ts";

function parse(line: string): ReturnType<typeof parseCommand> {
  return parseCommand(line.split(" ").filter((word) => word !== ""));
}

test("no words mean the default fleet on the local broker", () => {
  const command = parse("");
  assert.ok(command.kind === "fleet");
  assert.equal(command.run.host, "127.0.0.1");
  assert.equal(command.run.port, 1_883);
  assert.equal(command.run.speed, 1);
  assert.equal(command.plan.devices, 300);
  assert.equal(command.preset, "some");
});

test("real means the recorded motes at sixty times their pace", () => {
  const command = parse("real --labels labels.ndjson");
  assert.ok(command.kind === "real");
  assert.equal(command.run.speed, 60);
  assert.equal(command.fromReading, 2_200);
  assert.equal(command.labelsFile, "labels.ndjson");
});

test("--speed max is as fast as it goes, for a stated time", () => {
  const command = parse("--speed max --seconds 60");
  assert.ok(command.kind === "fleet");
  assert.equal(command.run.speed, Number.POSITIVE_INFINITY);
  assert.equal(command.run.seconds, 60);
});

test("what the user got wrong is a sentence", () => {
  const cases: readonly (readonly [line: string, problem: RegExp])[] = [
    ["--port 0", /--port must be between/],
    ["--devices many", /--devices must be a number/],
    ["--devices 0", /devices must be between/],
    ["--faults all", /--faults must be none, link, some or many/],
    ["--speed 10", /--speed needs --seconds/],
    ["--seconds -1", /ambiguous|must be more than 0/],
    ["--seconds=0", /must be more than 0/],
    ["--epoch 3", /even Unix milliseconds/],
    ["--username me", /go together/],
    ["--unknown", /Unknown option/],
    ["real --devices 3", /Unknown option/],
    ["real --from-reading 0.5", /--from-reading/],
    ["stray", /Unexpected argument/],
  ];
  for (const [line, problem] of cases) {
    const command = parse(line);
    assert.ok(command.kind === "usage", line);
    assert.match(command.problem, problem);
  }
});

test("--help wins", () => {
  assert.equal(parse("--help").kind, "help");
  assert.equal(parse("real --help").kind, "help");
});
