import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = {
  name: "",
  agent: "",
  what: "steps",
  select: "",
  from: "-1h",
  to: "",
  step: "",
  aggregates: "count,min,max,mean",
  limit: 1_000,
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
