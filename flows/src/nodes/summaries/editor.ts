import { prepareForm, saveForm } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-summaries", {
  category: "weir",
  color: "#a9c8e8",
  icon: "weir-summaries.svg",
  defaults: {
    name: { value: "" },
    agent: { value: "", type: "weir-agent", required: true },
    pipeline: { value: "" },
    key: { value: "" },
    from: { value: "now", required: true },
    store: { value: "" },
    version: { value: 1 },
  },
  inputs: 0,
  outputs: 2,
  outputLabels: function (index) {
    return this._(index === 0 ? "output.records" : "output.missed");
  },
  paletteLabel: "summaries",
  label: function () {
    return this.name || "summaries";
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
