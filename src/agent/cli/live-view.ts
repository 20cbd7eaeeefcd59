/**
 * The live view of a running agent: a small picture redrawn each second on a terminal, one plain
 * line every few seconds elsewhere. Reads AgentView only.
 *
 * A redraw goes up as many rows as the last picture takes and draws over it. So no line may wrap: it
 * is cut to the columns of the terminal. Where the terminal has become narrower since, the lines that
 * stand there were wrapped anew, which the count allows for.
 */

import { stripVTControlCharacters, styleText } from "node:util";
import type { Alert } from "../../core/record.ts";
import type { AgentView, Status } from "../status.ts";

export type LiveViewOptions = {
  readonly view: AgentView;
  readonly out: Screen;
  /** Plain lines even where `out` is a terminal. */
  readonly plain: boolean;
};

/** What is used of a terminal; `process.stdout` is one. */
export type Screen = {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: "resize", listener: () => void): unknown;
  off(event: "resize", listener: () => void): unknown;
};

const DRAW_MS = 1_000;
const LINE_MS = 5_000;
const ALERTS_SHOWN = 6;
/** An escape sequence of styleText, as a pattern. */
const STYLE = String.raw`\u001b\[[\d;]*m`;

/** Starts drawing; the result stops it and leaves the last picture standing. */
export function startLiveView(options: LiveViewOptions): () => void {
  const { view, out } = options;
  const rates = new Rates();
  if (options.plain || out.isTTY !== true) {
    const timer = setInterval(() => {
      const status = view.status();
      out.write(`${lineOf(status, rates.next(status))}\n`);
    }, LINE_MS);
    return () => clearInterval(timer);
  }
  let picture: Picture | undefined;
  let drawn: readonly string[] = [];
  const draw = (): void => {
    if (picture === undefined) return;
    const up = rowsTaken(drawn, columnsOf(out));
    drawn = fitted(picture, out);
    out.write(`${up > 0 ? `\u001b[${up}A` : ""}\r\u001b[0J${drawn.join("\n")}\n`);
  };
  const timer = setInterval(() => {
    const status = view.status();
    picture = pictureOf({ status, rate: rates.next(status), alerts: view.recentAlerts() });
    draw();
  }, DRAW_MS);
  out.on("resize", draw);
  return () => {
    clearInterval(timer);
    out.off("resize", draw);
  };
}

/** Lines with their escape sequences, of any length. */
type Picture = { readonly main: readonly string[]; readonly alerts: readonly string[] };

/** What fits the terminal: lines cut, the alerts left out where there is no room for them. */
function fitted({ main, alerts }: Picture, out: Screen): readonly string[] {
  const columns = columnsOf(out);
  // The cursor stands in the row below the picture.
  const rows = Math.max(1, (out.rows || Infinity) - 1);
  const lines = main.length + alerts.length <= rows ? [...main, ...alerts] : main.slice(0, rows);
  return lines.map((line) => cut(line, columns));
}

function columnsOf(out: Screen): number {
  return out.columns || Infinity;
}

/** Rows that lines take which were drawn at another width. */
function rowsTaken(lines: readonly string[], columns: number): number {
  const rows = lines.map((line) =>
    Math.max(1, Math.ceil(widthOf(stripVTControlCharacters(line)) / columns)),
  );
  return rows.reduce((sum, count) => sum + count, 0);
}

/** A line in at most so many columns. Its escape sequences stay, so that each style ends. */
function cut(line: string, columns: number): string {
  let free = columns;
  return line
    .split(new RegExp(`(${STYLE})`))
    .map((part, index) => {
      if (index % 2 === 1) return part;
      let text = "";
      for (const character of part) {
        free -= widthOf(character);
        if (free < 0) break;
        text += character;
      }
      return text;
    })
    .join("");
}

/** Never too few: from U+1100 on, where the wide scripts begin, each character counts as two. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += character.codePointAt(0)! < 0x1100 ? 1 : 2;
  return width;
}

/** Readings and messages per second since the last look. */
class Rates {
  #rows = 0;
  #atMs = performance.now();

  next(status: Status): number {
    const nowMs = performance.now();
    const rate = ((status.log.rowsAppended - this.#rows) * 1000) / Math.max(1, nowMs - this.#atMs);
    this.#rows = status.log.rowsAppended;
    this.#atMs = nowMs;
    return rate;
  }
}

function lineOf(status: Status, rate: number): string {
  return [
    `${whole(rate)} readings/s`,
    `durable after ${status.log.appendMs.p50} ms (p99 ${status.log.appendMs.p99})`,
    `${whole(status.outputs.summaries)} windows closed`,
    `${whole(status.outputs.alerts)} alerts`,
    `outbox ${whole(outboxDepth(status))}`,
    `${whole(status.memory.rssBytes / 1e6)} MB`,
    ...status.reasons,
    ...status.uplinks.flatMap(({ name, trouble }) =>
      trouble === undefined ? [] : [`${name}: ${trouble}`],
    ),
  ].join(", ");
}

function pictureOf({
  status,
  rate,
  alerts,
}: {
  readonly status: Status;
  readonly rate: number;
  readonly alerts: readonly Alert[];
}): Picture {
  const bold = (text: string): string => styleText("bold", text);
  const row = (name: string, value: string): string => `  ${name.padEnd(16)} ${value}`;
  const state =
    status.state === "running"
      ? styleText("green", status.state)
      : styleText("red", [status.state, ...status.reasons].join(": "));
  const main = [
    `${bold("weir")} ${status.agent}  ${state}`,
    "",
    row(
      "receive",
      `${bold(whole(rate))} readings/s from ${whole(status.cardinality.devices)} devices, ${whole(status.cardinality.series)} series`,
    ),
    row(
      "append",
      `durable after ${status.log.appendMs.p50} ms (p99 ${status.log.appendMs.p99} ms), ${megabytes(status.log.bytes)} of log`,
    ),
    row(
      "apply",
      `${whole(status.outputs.summaries)} windows closed, ${whole(status.outputs.alerts)} alerts`,
    ),
    row(
      "commit",
      `${whole(status.apply.commits)} commits, ${whole(status.apply.checkpoints)} checkpoints`,
    ),
    row(
      "drain",
      `${whole(outboxDepth(status))} records in the outbox; ${status.uplinks.map((u) => `${u.name} ${u.trouble ?? u.state}`).join(", ")}`,
    ),
    row(
      "process",
      `${megabytes(status.memory.rssBytes)} resident, ${status.cpuSeconds.toFixed(1)} s of CPU`,
    ),
  ].map(printable);
  return { main, alerts: ["", `  ${bold("last alerts")}`, ...lastAlerts(alerts).map(printable)] };
}

/** Names come from devices: a line break among them would move the picture. Styles pass. */
function printable(line: string): string {
  return line.replaceAll(new RegExp(`(?!${STYLE})\\p{Cc}`, "gu"), "?");
}

function lastAlerts(alerts: readonly Alert[]): string[] {
  const shown = alerts.slice(-ALERTS_SHOWN).map((alert) => `  ${alertText(alert)}`);
  while (shown.length < ALERTS_SHOWN) shown.push("");
  return shown;
}

function alertText(alert: Alert): string {
  const time = new Date(alert.time).toISOString().slice(11, 19);
  const key = alert.key.map(([name, value]) => `${name}=${value}`).join(" ");
  const value = typeof alert.value === "number" ? short(alert.value) : alert.value;
  return `${time}  ${alert.reason.padEnd(12)} ${key}  ${value}, expected ${short(alert.expected)}, score ${short(alert.score)}`;
}

function outboxDepth(status: Status): number {
  return Object.values(status.outbox).reduce((sum, lane) => sum + lane.records, 0);
}

function short(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
