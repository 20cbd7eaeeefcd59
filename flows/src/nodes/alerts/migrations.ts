import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = {
  name: "",
  agent: "",
  pipeline: "",
  key: "",
  from: "now",
  store: "",
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
