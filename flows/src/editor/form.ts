/** What the forms of our nodes share, in the editor. */

import { migrate, type Migration } from "../migrations.ts";
import type { EditorNode } from "./red.ts";

/** Fills the form of a node that an older package or a person wrote, and the list of context stores. */
export function prepareForm(node: EditorNode, migrations: readonly Migration[]): void {
  for (const [name, value] of Object.entries(migrate(node, migrations))) {
    if (node[name] !== undefined) continue;
    if (typeof value !== "string" && typeof value !== "number") continue;
    $(`#node-input-${name}`).val(`${value}`);
  }
  listStores(node);
}

/** The settings are those of the newest version now. */
export function saveForm(node: EditorNode, migrations: readonly Migration[]): void {
  node["version"] = migrations.length;
}

/** Shows the rows of a class where the select has one of these values. */
export function showFor(select: string, rows: string, values: readonly string[]): void {
  const show = (): void => void $(rows).toggle(values.includes($(select).val()));
  $(select).on("change", show);
  show();
}

export function propertyInput(name: string): void {
  $(`#node-input-${name}`).typedInput({ type: "msg", types: ["msg"] });
}

function listStores(node: EditorNode): void {
  const select = $("#node-input-store");
  const { stores = [], default: usual } = RED.settings.context ?? {};
  for (const store of stores) {
    if (store === usual) continue;
    select.append($("<option>").attr("value", store).text(store));
  }
  const store = node["store"];
  select.val(typeof store === "string" ? store : "");
}
