/** The `remote` section as the schema makes it: defaults filled in, durations in ms. */

/** The sections of a configuration that can be set from afar. */
export const remoteSections = [
  "brokers",
  "sources",
  "pipelines",
  "uplinks",
  "links",
  "commit",
  "store",
  "limits",
] as const;

export type RemoteSectionName = (typeof remoteSections)[number];

export type RemoteSection = {
  readonly keys: readonly { readonly name: string; readonly key: string }[];
  readonly mqtt?: { readonly broker: string; readonly topic: string };
  readonly kafka?: { readonly topic: string; readonly poll: number };
  readonly allow: readonly RemoteSectionName[];
  readonly watch: number;
  readonly tries: number;
};
