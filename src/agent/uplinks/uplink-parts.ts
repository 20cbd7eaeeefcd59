import type { StateStore } from "../../store/state/state-store.ts";
import type { Via } from "../../sync/link/via.ts";
import type { Doors } from "../agent-doors.ts";
import type { Config } from "../config/config.ts";
import type { OwnStatus } from "../own-topics/own-topics.ts";

/** What uplinks are made of. */
export type UplinkParts = {
  readonly config: Config;
  readonly doors: Doors;
  readonly store: StateStore;
  /** What the agent says of itself. */
  readonly status: () => OwnStatus;
  /** The links of these names; undefined where none is named. */
  readonly viaOf: (
    names: readonly string[] | undefined,
    options: { readonly isShared: boolean },
  ) => Via | undefined;
};
