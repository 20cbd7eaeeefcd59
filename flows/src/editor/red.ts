/** What we use of Node-RED's editor, in the browser. Global there, hence declared and not imported. */

/** Where a property of a node begins, and how the editor checks it. */
export type Default = {
  readonly value: unknown;
  readonly required?: boolean;
  readonly type?: string;
  readonly validate?: (value: string) => boolean;
};

/** A node in the editor: its properties beside what the editor adds. */
export type EditorNode = {
  name: string;
  _(key: string): string;
  [property: string]: unknown;
};

export type NodeDefinition = {
  readonly category: string;
  readonly color?: string;
  readonly icon?: string;
  readonly defaults: Readonly<Record<string, Default>>;
  readonly credentials?: Readonly<Record<string, { readonly type: "text" | "password" }>>;
  readonly inputs?: number;
  readonly outputs?: number;
  readonly inputLabels?: string | readonly string[];
  readonly outputLabels?: readonly string[] | ((this: EditorNode, index: number) => string);
  readonly paletteLabel?: string;
  readonly label: (this: EditorNode) => string;
  readonly labelStyle?: (this: EditorNode) => string;
  readonly oneditprepare?: (this: EditorNode) => void;
  readonly oneditsave?: (this: EditorNode) => void;
};

/** A jQuery selection, as far as we use it. */
export interface Selection {
  val(): string;
  val(value: string): Selection;
  on(event: string, listener: () => void): Selection;
  toggle(show: boolean): Selection;
  append(child: Selection): Selection;
  attr(name: string, value: string): Selection;
  text(text: string): Selection;
  is(selector: string): boolean;
  prop(name: string, value: boolean): Selection;
  empty(): Selection;
  typedInput(options: {
    readonly type?: string;
    readonly types: readonly string[];
    readonly typeField?: string;
  }): Selection;
}

declare global {
  const RED: {
    readonly nodes: { registerType(type: string, definition: NodeDefinition): void };
    readonly settings: {
      readonly context?: { readonly default?: string; readonly stores?: readonly string[] };
    };
  };
  function $(selector: string): Selection;
}
