/**
 * What we use of Node-RED 4 and 5, at run time: the part of its node API that our nodes touch, in our
 * own types, because @types/node-red describes version 1.
 */

export type Message = { [property: string]: unknown };

/** For each output its messages, in order. */
export type Outputs = readonly (readonly Message[])[];

export type Send = (outputs: Outputs) => void;
export type Done = (error?: Error) => void;

export type Status = {
  readonly fill?: "red" | "green" | "yellow" | "blue" | "grey";
  readonly shape?: "ring" | "dot";
  readonly text?: string;
};

/** `store` is the name of a context store in settings.js; undefined is the default one. */
export interface ContextStore {
  get(
    key: string,
    store: string | undefined,
    callback: (error: Error | null | undefined, value: unknown) => void,
  ): void;
  set(
    key: string,
    value: unknown,
    store: string | undefined,
    callback: (error?: Error | null) => void,
  ): void;
}

export interface RedNode {
  /** Stays the same over deploys, also where the node is of a subflow: each instance has another. */
  readonly id: string;
  readonly type: string;
  /** Of types that are registered with some. */
  readonly credentials?: Readonly<Record<string, string | undefined>>;
  on(event: "input", listener: (message: Message, send: Send, done: Done) => void): void;
  on(event: "close", listener: (removed: boolean, done: () => void) => void): void;
  /** Without a message that caused it, as from a timer. */
  send(outputs: Outputs): void;
  status(status: Status): void;
  /** To the log alone; `warn` and `error` are in the debug sidebar, too. */
  log(text: string): void;
  warn(text: string): void;
  /** With the message it concerns it goes to Catch nodes. */
  error(text: string | Error, message?: Message): void;
  context(): ContextStore;
}

/** What a flow holds of a node: as the editor wrote it, or a person, so everything is checked. */
export type NodeConfig = { readonly id: string; readonly [property: string]: unknown };

export interface Red {
  /** settings.js. */
  readonly settings: { readonly contextStorage?: unknown };
  readonly nodes: {
    createNode(node: RedNode, config: NodeConfig): void;
    registerType(
      type: string,
      constructor: (this: RedNode, config: NodeConfig) => void,
      options?: { readonly credentials?: Readonly<Record<string, { type: "text" | "password" }>> },
    ): void;
    getNode(id: string): unknown;
  };
  readonly util: {
    /** `path` as in `payload.values[0]`. Throws where it is no path. */
    getMessageProperty(message: Message, path: string): unknown;
  };
  /** The text of a key in our locales; in the test helper the key itself. */
  _(key: string, parameters?: Readonly<Record<string, string | number>>): string;
}
