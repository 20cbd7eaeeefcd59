import { prepareForm, saveForm } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-sync", {
  category: "weir",
  color: "#a9c8e8",
  icon: "weir-sync.svg",
  defaults: {
    name: { value: "" },
    agent: { value: "", type: "weir-agent", required: true },
    everySeconds: { value: 0, required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 1,
  paletteLabel: "sync",
  label: function () {
    return this.name || "sync";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
