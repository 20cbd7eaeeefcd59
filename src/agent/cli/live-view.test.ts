import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { sampleView } from "../../../test/support/agent-view.ts";
import { type Screen, startLiveView } from "./live-view.ts";

/** A terminal that wraps, and wraps anew when its width changes. The cursor is below the last row. */
class Terminal implements Screen {
  readonly isTTY = true;
  columns: number;
  rows: number;
  lines: string[] = [];
  #onResize: (() => void) | undefined;

  constructor({ columns, rows }: { readonly columns: number; readonly rows: number }) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    const [moves, picture] = text.split("\r\u001b[0J");
    assert.ok(picture !== undefined && picture.endsWith("\n"), JSON.stringify(text));
    const up = /^.\[(\d+)A$/.exec(moves ?? "")?.[1];
    const standing = this.shown();
    this.lines = standing.slice(0, standing.length - Number(up ?? 0));
    this.lines.push(...stripVTControlCharacters(picture.slice(0, -1)).split("\n"));
  }

  shown(): string[] {
    const rows = new RegExp(`.{1,${this.columns}}`, "gu");
    return this.lines.flatMap((line) => line.match(rows) ?? [""]);
  }

  resize(columns: number): void {
    this.columns = columns;
    this.#onResize?.();
  }

  on(_: "resize", listener: () => void): void {
    this.#onResize = listener;
  }

  off(): void {
    this.#onResize = undefined;
  }
}

function watch(t: TestContext, size: { readonly columns: number; readonly rows: number }) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const colours = process.env["FORCE_COLOR"];
  process.env["FORCE_COLOR"] = "1";
  t.after(() => {
    if (colours === undefined) delete process.env["FORCE_COLOR"];
    else process.env["FORCE_COLOR"] = colours;
  });
  const terminal = new Terminal(size);
  terminal.lines = ["what stood here before"];
  const stop = startLiveView({ view: sampleView(), out: terminal, plain: false });
  t.after(stop);
  return { terminal, tick: (count: number) => t.mock.timers.tick(count * 1_000) };
}

function assertOnePicture(terminal: Terminal): void {
  const shown = terminal.shown();
  assert.equal(shown[0], "what stood here before");
  assert.match(shown[1] ?? "", /^weir pumphouse-7/);
  assert.equal(shown.filter((line) => line.startsWith("weir ")).length, 1, shown.join("\n"));
  assert.deepEqual(shown, terminal.lines, "no line wraps");
}

test("on a narrow terminal each picture stands where the last one stood", (t) => {
  const { terminal, tick } = watch(t, { columns: 60, rows: 40 });
  tick(3);
  assertOnePicture(terminal);
  assert.ok(
    terminal.lines.some((line) => line.length === 60),
    "a line was cut to the columns, its styles not counted",
  );
});

test("a terminal that becomes narrower or wider is drawn anew in place", (t) => {
  const { terminal, tick } = watch(t, { columns: 160, rows: 40 });
  tick(2);
  for (const columns of [60, 25, 120]) {
    terminal.resize(columns);
    assertOnePicture(terminal);
  }
  tick(1);
  assertOnePicture(terminal);
});

test("where the rows are too few the alerts are left out, then the last lines", (t) => {
  const { terminal, tick } = watch(t, { columns: 60, rows: 12 });
  tick(2);
  assertOnePicture(terminal);
  assert.ok(!terminal.lines.some((line) => line.includes("last alerts")));
  assert.ok(terminal.lines.some((line) => line.startsWith("  process")));
  terminal.rows = 4;
  tick(1);
  assert.equal(terminal.lines.length, 1 + 3);
});
