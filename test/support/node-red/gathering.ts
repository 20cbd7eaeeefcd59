/** Flows of the tests: what nodes give goes to files, a line each, as only a flow of a user sees it. */

import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";

/** A window of ten seconds by the time in the message, fed by HTTP: `{topic, payload, time}` to `/feed`. */
export function fedWindow(file: string): string {
  const z = "weirtestwin0";
  return JSON.stringify([
    { id: z, type: "tab", label: "fed window" },
    { id: `${z}1`, type: "http in", z, name: "", url: "/feed", method: "post", wires: [[`${z}2`]] },
    {
      ...functionOf(`${z}2`, z, "return [{ ...msg.payload }, { ...msg, payload: {} }];"),
      outputs: 2,
      wires: [[`${z}3`], [`${z}5`]],
    },
    {
      id: `${z}3`,
      type: "weir-window",
      z,
      name: "fed",
      keyProperty: "topic",
      valueProperty: "payload",
      timeFrom: "message",
      timeProperty: "time",
      keysMax: 100,
      forgetSeconds: 86_400,
      disorderSeconds: 0,
      idleSeconds: 600,
      futureSeconds: 600,
      store: "",
      window: "tumbling",
      sizeSeconds: 10,
      hopSeconds: 10,
      gapSeconds: 60,
      latenessSeconds: 0,
      aggregates: "count,sum",
      version: 1,
      wires: [[`${z}4`], []],
    },
    {
      ...functionOf(`${z}4`, z, "return { payload: JSON.stringify(msg.payload) };"),
      wires: [[`${z}6`]],
    },
    { id: `${z}5`, type: "http response", z, name: "", statusCode: "200", headers: {}, wires: [] },
    fileOf(`${z}6`, z, file),
  ]);
}

/** The identity of each summary as it comes to a node, from now on. */
export function gatheredSummaries(file: string, address: string): string {
  const z = "weirtestsum0";
  return JSON.stringify([
    { id: z, type: "tab", label: "gathered summaries" },
    {
      id: `${z}1`,
      type: "weir-summaries",
      z,
      name: "gathered",
      agent: `${z}a`,
      pipeline: "",
      key: "",
      from: "now",
      store: "",
      version: 1,
      wires: [[`${z}2`], [`${z}4`]],
    },
    { ...functionOf(`${z}2`, z, "return { payload: msg.payload.id };"), wires: [[`${z}3`]] },
    {
      ...functionOf(`${z}4`, z, "return { payload: `missed ${JSON.stringify(msg.payload)}` };"),
      wires: [[`${z}3`]],
    },
    fileOf(`${z}3`, z, file),
    { id: `${z}a`, type: "weir-agent", name: "", address, tls: "", version: 1 },
  ]);
}

function functionOf(id: string, z: string, func: string): object {
  const texts = { initialize: "", finalize: "", libs: [] };
  return { id, type: "function", z, name: "", func, outputs: 1, timeout: 0, noerr: 0, ...texts };
}

function fileOf(id: string, z: string, filename: string): object {
  const written = { appendNewline: true, createDir: false, overwriteFile: "false" };
  return {
    id,
    type: "file",
    z,
    name: "",
    filename,
    filenameType: "str",
    ...written,
    encoding: "none",
    wires: [[]],
  };
}

/** The lines of such a file, once there are at least so many. */
export async function gathered(
  file: string,
  { atLeast, msMax }: { readonly atLeast: number; readonly msMax: number },
): Promise<readonly string[]> {
  const lines = (): readonly string[] => {
    try {
      return readFileSync(file, "utf8").split("\n").slice(0, -1);
    } catch {
      return [];
    }
  };
  const endMs = performance.now() + msMax;
  while (lines().length < atLeast) {
    if (performance.now() > endMs) {
      throw new Error(`${file} has ${lines().length} lines in ${msMax} ms instead of ${atLeast}`);
    }
    await wait(50);
  }
  return lines();
}
