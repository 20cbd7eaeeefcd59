import { prepareForm, propertyInput, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-sketch", {
  category: "weir",
  color: "#d6c7e6",
  icon: "weir-sketch.svg",
  defaults: {
    name: { value: "" },
    keyProperty: { value: "topic" },
    valueProperty: { value: "payload", required: true },
    timeFrom: { value: "arrival", required: true },
    timeProperty: { value: "time" },
    keysMax: { value: 1000, required: true },
    forgetSeconds: { value: 86400, required: true },
    disorderSeconds: { value: 0, required: true },
    idleSeconds: { value: 60, required: true },
    futureSeconds: { value: 600, required: true },
    store: { value: "" },
    method: { value: "top", required: true },
    itemProperty: { value: "payload", required: true },
    periodSeconds: { value: 60, required: true },
    topCount: { value: 10, required: true },
    errorPercent: { value: 0.1, required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 2,
  outputLabels: function (index) {
    return this._(index === 0 ? "output.results" : "output.late");
  },
  paletteLabel: "sketch",
  label: function () {
    return this.name || "sketch";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    for (const name of ["keyProperty", "valueProperty", "timeProperty", "itemProperty"])
      propertyInput(name);
    showFor("#node-input-timeFrom", ".weir-message-time", ["message"]);
    showFor("#node-input-method", ".weir-top", ["top"]);
    showFor("#node-input-method", ".weir-quantiles", ["quantiles"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
