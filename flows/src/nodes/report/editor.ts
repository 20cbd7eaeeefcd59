import { prepareForm, propertyInput, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-report", {
  category: "weir",
  color: "#d8e2b0",
  icon: "weir-report.svg",
  defaults: {
    name: { value: "" },
    keyProperty: { value: "topic" },
    valueProperty: { value: "payload", required: true },
    mode: { value: "absolute", required: true },
    band: { value: 0.5, required: true },
    silenceSeconds: { value: 900, required: true },
    keysMax: { value: 1000, required: true },
    forgetSeconds: { value: 86400, required: true },
    store: { value: "" },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 1,
  outputLabels: function () {
    return this._("output.reported");
  },
  paletteLabel: "report",
  label: function () {
    return this.name || "report";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    for (const name of ["keyProperty", "valueProperty"]) propertyInput(name);
    showFor("#node-input-mode", ".weir-band", ["absolute", "percent"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
