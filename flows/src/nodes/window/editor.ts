import { prepareForm, propertyInput, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-window", {
  category: "weir",
  color: "#9fd3c7",
  icon: "weir-window.svg",
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
    window: { value: "tumbling", required: true },
    sizeSeconds: { value: 60, required: true },
    hopSeconds: { value: 10, required: true },
    gapSeconds: { value: 60, required: true },
    latenessSeconds: { value: 0, required: true },
    aggregates: { value: "count,mean,min,max", required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 2,
  outputLabels: function (index) {
    return this._(index === 0 ? "output.results" : "output.late");
  },
  paletteLabel: "window",
  label: function () {
    return this.name || "window";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    for (const name of ["keyProperty", "valueProperty", "timeProperty"]) propertyInput(name);
    showFor("#node-input-timeFrom", ".weir-message-time", ["message"]);
    showFor("#node-input-window", ".weir-size", ["tumbling", "hopping", "session"]);
    showFor("#node-input-window", ".weir-hop", ["hopping"]);
    showFor("#node-input-window", ".weir-gap", ["session"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
