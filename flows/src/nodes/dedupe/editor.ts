import { prepareForm, propertyInput, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-dedupe", {
  category: "weir",
  color: "#c9d6ea",
  icon: "weir-dedupe.svg",
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
    by: { value: "identity", required: true },
    idProperty: { value: "payload.id" },
    remember: { value: 10000, required: true },
    withinSeconds: { value: 86400, required: true },
    ring: { value: 64, required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 2,
  outputLabels: function (index) {
    return this._(index === 0 ? "output.fresh" : "output.resent");
  },
  paletteLabel: "dedupe",
  label: function () {
    return this.name || "dedupe";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    for (const name of ["keyProperty", "valueProperty", "timeProperty", "idProperty"])
      propertyInput(name);
    showFor("#node-input-by", ".weir-identity", ["identity"]);
    showFor("#node-input-by", ".weir-reading", ["reading"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
