import { filledWith, type Migration, type Settings } from "../../migrations.ts";
import { streamDefaults } from "../stream-defaults.ts";

export const defaults: Settings = {
  name: "",
  ...streamDefaults,
  by: "identity",
  idProperty: "payload.id",
  remember: 10_000,
  withinSeconds: 86_400,
  ring: 64,
};

export const migrations: readonly Migration[] = [filledWith(defaults)];
