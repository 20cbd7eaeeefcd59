/**
 * A node's configuration carries a `version`. A migration takes it from one version to the next; the
 * runtime runs them when a flow starts, the editor when a node is opened, so that a flow that an older
 * package wrote goes on working, and is written anew once it is edited. A flow that a person or a
 * program wrote may lack the version: that is version 0, and may lack anything else.
 */

export type Settings = { readonly [property: string]: unknown };

/** From version i, its index in the list, to i + 1. Gives the properties that change. */
export type Migration = (from: Settings) => Settings;

/** The first migration of every node: what a hand-written node lacks begins as in the editor. */
export function filledWith(defaults: Settings): Migration {
  return (from) =>
    Object.fromEntries(Object.entries(defaults).filter(([name]) => from[name] === undefined));
}

/**
 * The configuration as this package knows it. Throws where it is of a newer one: what it means there is
 * not known here.
 */
export function migrate(from: Settings, migrations: readonly Migration[]): Settings {
  const version = from["version"] ?? 0;
  if (typeof version !== "number" || !Number.isInteger(version) || version < 0) {
    throw new Error(`the node's version is ${JSON.stringify(version)}: remove it or set a number`);
  }
  if (version > migrations.length) {
    throw new Error(
      `the node was configured by a newer package (version ${version}, this one knows ${migrations.length}): update the package`,
    );
  }
  let settings = from;
  for (const migration of migrations.slice(version)) {
    settings = { ...settings, ...migration(settings) };
  }
  return { ...settings, version: migrations.length };
}
