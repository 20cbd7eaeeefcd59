import { prepareForm, saveForm } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-publish", {
  category: "weir",
  color: "#a9c8e8",
  icon: "weir-publish.svg",
  defaults: {
    name: { value: "" },
    agent: { value: "", type: "weir-agent", required: true },
    topic: { value: "" },
    queueMessages: { value: 10000, required: true },
    whenFull: { value: "refuse", required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 1,
  paletteLabel: "publish",
  label: function () {
    return this.name || "publish";
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
