import { prepareForm, propertyInput, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-anomaly", {
  category: "weir",
  color: "#f2b5a7",
  icon: "weir-anomaly.svg",
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
    lambda: { value: 0.2, required: true },
    sigmas: { value: 3.5, required: true },
    warmup: { value: 60, required: true },
    baseline: { value: 0.01, required: true },
    sigmaMin: { value: 0.01, required: true },
    rearm: { value: 10, required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 2,
  outputLabels: function (index) {
    return this._(index === 0 ? "output.anomalies" : "output.others");
  },
  paletteLabel: "anomaly",
  label: function () {
    return this.name || "anomaly";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    for (const name of ["keyProperty", "valueProperty", "timeProperty"]) propertyInput(name);
    showFor("#node-input-timeFrom", ".weir-message-time", ["message"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
