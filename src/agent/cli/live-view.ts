/**
 * The live view of a running agent: a small picture redrawn each second on a terminal, one plain
 * line every few seconds elsewhere. Reads AgentView only.
 */

import { styleText } from "node:util";
import type { Alert } from "../../core/record.ts";
import type { AgentView, Status } from "../status.ts";

export type LiveViewOptions = {
  readonly view: AgentView;
  readonly out: NodeJS.WriteStream;
  /** Plain lines even where `out` is a terminal. */
  readonly plain: boolean;
};

const DRAW_MS = 1_000;
const LINE_MS = 5_000;
const ALERTS_SHOWN = 6;

/** Starts drawing; the result stops it and leaves the last picture standing. */
export function startLiveView(options: LiveViewOptions): () => void {
  const plain = options.plain || !options.out.isTTY;
  const rates = new Rates();
  let lines = 0;
  const draw = (): void => {
    const status = options.view.status();
    const rate = rates.next(status);
    if (plain) {
      options.out.write(`${lineOf(status, rate)}\n`);
      return;
    }
    const picture = pictureOf({ status, rate, alerts: options.view.recentAlerts() });
    options.out.write(`${lines > 0 ? `\u001b[${lines}A` : ""}\u001b[0J${picture}\n`);
    lines = picture.split("\n").length;
  };
  const timer = setInterval(draw, plain ? LINE_MS : DRAW_MS);
  return () => clearInterval(timer);
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
}): string {
  const bold = (text: string): string => styleText("bold", text);
  const row = (name: string, value: string): string => `  ${name.padEnd(16)} ${value}`;
  const state =
    status.state === "running"
      ? styleText("green", status.state)
      : styleText("red", [status.state, ...status.reasons].join(": "));
  return [
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
    "",
    `  ${bold("last alerts")}`,
    ...lastAlerts(alerts),
  ].join("\n");
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
