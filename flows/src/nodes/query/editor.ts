import { prepareForm, saveForm, showFor } from "../../editor/form.ts";
import { migrations } from "./migrations.ts";

RED.nodes.registerType("weir-query", {
  category: "weir",
  color: "#a9c8e8",
  icon: "weir-query.svg",
  defaults: {
    name: { value: "" },
    agent: { value: "", type: "weir-agent", required: true },
    what: { value: "steps", required: true },
    select: { value: "" },
    from: { value: "-1h" },
    to: { value: "" },
    step: { value: "" },
    aggregates: { value: "count,min,max,mean" },
    limit: { value: 1000, required: true },
    version: { value: 1 },
  },
  inputs: 1,
  outputs: 1,
  paletteLabel: "query",
  label: function () {
    return this.name || "query";
  },
  labelStyle: function () {
    return this.name ? "node_label_italic" : "";
  },
  oneditprepare: function () {
    prepareForm(this, migrations);
    showFor("#node-input-what", ".weir-select", ["steps", "readings", "latest", "raw"]);
    showFor("#node-input-what", ".weir-span", ["steps", "readings", "raw"]);
    showFor("#node-input-what", ".weir-steps", ["steps"]);
    showFor("#node-input-what", ".weir-limit", ["readings", "latest"]);
  },
  oneditsave: function () {
    saveForm(this, migrations);
  },
});
