/** The demo on recorded data: the labelled anomalies of each mote beside the alerts it raised. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { tableText } from "./ledger-text.ts";

type Label = { readonly device: string; readonly start: number; readonly end: number };
type AlertLine = { readonly key: Readonly<Record<string, string>>; readonly time: number };

export async function labelTable(paths: {
  readonly labels: string;
  readonly upstream: string;
}): Promise<string> {
  const labels = await readLines<Label>(paths.labels);
  const names = (await readdir(paths.upstream)).filter((name) => name.startsWith("alerts-")).sort();
  const alerts = (
    await Promise.all(names.map((name) => readLines<AlertLine>(join(paths.upstream, name))))
  ).flat();
  const devices = [
    ...new Set([
      ...labels.map(({ device }) => device),
      ...alerts.map(({ key }) => key["device"] ?? ""),
    ]),
  ];
  const rows = devices.sort().map((device) => {
    const own = labels.filter((label) => label.device === device);
    const times = alerts.filter(({ key }) => key["device"] === device).map(({ time }) => time);
    const within = times.filter((time) =>
      own.some(({ start, end }) => time >= start && time <= end),
    );
    const found = own.filter(({ start, end }) =>
      times.some((time) => time >= start && time <= end),
    );
    return [device, own.length, found.length, within.length, times.length - within.length].map(
      String,
    );
  });
  return tableText({
    head: ["mote", "labelled episodes", "with an alert", "alerts within", "alerts outside"],
    rows,
  });
}

async function readLines<T>(file: string): Promise<T[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as T);
}
