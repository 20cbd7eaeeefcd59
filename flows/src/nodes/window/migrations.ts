import { filledWith, type Migration, type Settings } from "../../migrations.ts";
import { streamDefaults } from "../stream-defaults.ts";

export const defaults: Settings = {
  name: "",
  ...streamDefaults,
  window: "tumbling",
  sizeSeconds: 60,
  hopSeconds: 10,
  gapSeconds: 60,
  latenessSeconds: 0,
  aggregates: "count,mean,min,max",
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
