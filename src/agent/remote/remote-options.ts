/** What configuration from afar is opened with, and what it sees of the agent that runs. */

import type { Clock, Disk } from "../../core/doors.ts";
import type { Config } from "../config/config.ts";
import type { Overlay } from "../config/overlay.ts";
import type { ParsedConfig } from "../config/parse.ts";
import type { RemoteConfig } from "../config/remote-config.ts";
import type { Status } from "../status.ts";
import type { Endpoint } from "./probe.ts";

export type RemoteOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  /** In the data directory. */
  readonly directory: string;
  /** The local file alone, which has a `remote` section. */
  readonly local: Config;
  /** The local file with sections laid over it. */
  readonly parse: (overlay: Overlay) => Promise<ParsedConfig>;
  /** What is wrong with files that a configuration names. */
  readonly problemsOf: (config: Config) => Promise<readonly string[]>;
  /** What the second names and the first does not, to be asked whether it is there. */
  readonly endpointsOf: (before: Config, now: Config) => readonly Endpoint[];
  /** For the journal. */
  readonly say: (event: string, facts: Readonly<Record<string, unknown>>) => void;
};

/** What documents are judged by. */
export type JudgeOptions = Pick<RemoteOptions, "parse" | "problemsOf"> & {
  /** The `remote` section of the local file, and the name of this agent. */
  readonly remote: RemoteConfig;
  readonly agent: string;
};

export type Running = { readonly status: () => Status };
