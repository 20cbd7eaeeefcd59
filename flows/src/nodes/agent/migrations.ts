import { filledWith, type Migration, type Settings } from "../../migrations.ts";

export const defaults: Settings = { name: "", address: "http://127.0.0.1:8080", tls: "" };

export const migrations: readonly Migration[] = [filledWith(defaults)];
