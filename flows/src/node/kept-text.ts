/**
 * One text that a node keeps across deploys and restarts: in a context store of the user's choice, and in
 * this process. The store alone would not do: where settings.js has no contextStorage, Node-RED forgets a
 * node's context when it closes.
 */

import type { RedNode } from "../red.ts";

/** What nodes of one type kept when they closed, by their ids, for those that start again in this process. */
export type KeptHere = Map<string, string>;

export type KeptTextOptions = {
  readonly node: Pick<RedNode, "id" | "context" | "warn">;
  /** In the node's context. */
  readonly name: string;
  /** Of a context store, as a setting has it; empty is the one by default. */
  readonly store: unknown;
  readonly here: KeptHere;
};

export class KeptText {
  readonly #options: KeptTextOptions;
  readonly #store: string | undefined;
  #text: string | undefined;
  #isInTrouble = false;
  /** The last save. */
  #saved: Promise<void> = Promise.resolve();

  constructor(options: KeptTextOptions) {
    this.#options = options;
    const { store } = options;
    this.#store = typeof store === "string" && store !== "" ? store : undefined;
  }

  /** Rejects with an Error that names the store where it fails. */
  async load(): Promise<string | undefined> {
    const { here, node } = this.#options;
    const left = here.get(node.id);
    // Before the store answers: what is there then may be of a later life.
    here.delete(node.id);
    this.#text = left ?? (await this.#loadStored());
    return this.#text;
  }

  /**
   * `undefined` forgets what was kept before. A store that fails is warned of, once; it never rejects.
   * One after another: a slow store has the newest in the end.
   */
  save(text: string | undefined): Promise<void> {
    this.#text = text;
    this.#saved = this.#saved.then(async () => {
      const error = await this.#saveStored(text);
      if (error && !this.#isInTrouble) this.#options.node.warn(this.#faultOf(error));
      this.#isInTrouble = Boolean(error);
    });
    return this.#saved;
  }

  /** The node closes, and may start again here. */
  close(): void {
    const { here, node } = this.#options;
    if (this.#text !== undefined) here.set(node.id, this.#text);
  }

  #loadStored(): Promise<string | undefined> {
    const { node, name } = this.#options;
    return new Promise((loaded, failed) => {
      node.context().get(name, this.#store, (error, value) => {
        if (error) failed(new Error(this.#faultOf(error)));
        else loaded(typeof value === "string" ? value : undefined);
      });
    });
  }

  /** The error, where it fails. */
  async #saveStored(text: string | undefined): Promise<Error | null | undefined> {
    const { node, name } = this.#options;
    try {
      return await new Promise((saved) => node.context().set(name, text, this.#store, saved));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #faultOf({ message }: Error): string {
    return `the context store ${this.#store ?? "by default"} failed: ${message}; see contextStorage in settings.js`;
  }
}
