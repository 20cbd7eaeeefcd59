import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-agent", {
  category: "config",
  defaults: {
    name: { value: "" },
    address: { value: "http://127.0.0.1:8080", required: true },
    tls: { value: "", type: "tls-config", required: false },
    version: { value: 1 },
  },
  credentials: {
    token: { type: "password" },
  },
  label: function () {
    return this.name || String(this["address"]);
  },
  oneditsave: function () {
    this["version"] = migrations.length;
  },
});
