import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = {
  name: "",
  agent: "",
  topic: "",
  queueMessages: 10_000,
  whenFull: "refuse",
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
