/**
 * Node-RED's editor in a real browser, used as a person does: flows come in by the import dialog, and run by
 * the Deploy button. What debug nodes say is noted as it comes to the page: the sidebar writes 66 of them a
 * second, fewer in a busy browser, and of those that wait for that it drops the oldest beyond a hundred.
 */

import type { TestContext } from "node:test";
import { type Browser, chromium, type Page } from "playwright-core";
import { findTool, requireTool } from "../require-tool.ts";

/** What there is of a flow in the editor after its import. */
export type Imported = {
  readonly tab: string;
  readonly nodes: readonly ImportedNode[];
};

export type ImportedNode = {
  readonly id: string;
  readonly type: string;
  readonly name: string;
};

/** A flow as it is in a file. */
export type FlowNodes = readonly { readonly type: string; readonly [name: string]: unknown }[];

const waitMs = 30_000;

/** What we use of the editor's page, where functions given to `evaluate` run. */
declare const RED: {
  readonly actions: { invoke(name: string): void };
  readonly comms: {
    subscribe(topic: "debug", hear: (topic: string, message: DebugMessage) => void): void;
  };
  readonly workspaces: { show(id: string): void };
  readonly editor: {
    edit(node: object): void;
    editConfig(name: string, type: string, id: string): void;
  };
  readonly nodes: {
    eachConfig(look: (node: EditorNode) => void): void;
    node(id: string): EditorNode | null;
    eachNode(look: (node: EditorNode) => void): void;
    eachWorkspace(look: (tab: { readonly id: string }) => void): void;
  };
};
declare function jQuery(selector: string): {
  readonly length: number;
  last(): { offset(): object | undefined };
};
type EditorNode = ImportedNode & {
  readonly z: string;
  readonly valid?: boolean;
  readonly status?: { readonly fill?: string; readonly text?: string };
};
/** `msg` is JSON where it is no text. */
type DebugMessage = { readonly id: string; readonly format: string; readonly msg: string };
declare const window: { weirSaid?: Record<string, string[]> };

/** `undefined` where there is no Chromium, and then the test is skipped or failed. */
export async function openEditor(t: TestContext, url: string): Promise<Editor | undefined> {
  if (!requireTool(t, "chromium")) return undefined;
  const browser = await chromium.launch({
    executablePath: findTool("chromium")!,
    args: ["--no-proxy-server", "--disable-background-networking", "--disable-gpu"],
  });
  t.after(() => browser.close());
  return await Editor.open(browser, url);
}

export class Editor {
  readonly page: Page;
  /** What went wrong in the page. */
  readonly errors: string[] = [];
  /** Requests to anywhere but this machine. */
  readonly requestsOutside: string[] = [];

  private constructor(page: Page) {
    this.page = page;
    page.on("pageerror", (error) => this.errors.push(error.stack ?? error.message));
    page.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      const isHere = hostname === "127.0.0.1" || ["data:", "blob:"].includes(protocol);
      if (!isHere) this.requestsOutside.push(request.url());
    });
  }

  static async open(browser: Browser, url: string): Promise<Editor> {
    const page = await browser.newPage({ viewport: { width: 1_200, height: 760 } });
    page.setDefaultTimeout(waitMs);
    const editor = new Editor(page);
    await page.goto(url, { waitUntil: "commit" });
    await page.locator(".red-ui-palette-node[data-palette-type=weir-window]").waitFor({
      state: "attached",
    });
    await page.locator("#red-ui-loading-progress").waitFor({ state: "hidden" });
    await page.evaluate(noteWhatIsSaid);
    await editor.invoke("core:show-debug-tab");
    return editor;
  }

  async invoke(action: string): Promise<void> {
    await this.page.evaluate((name) => RED.actions.invoke(name), action);
  }

  /** Types of our nodes in the palette. */
  async palette(): Promise<readonly string[]> {
    const found = await this.page
      .locator(".red-ui-palette-node[data-palette-type^=weir-]")
      .evaluateAll((nodes) =>
        nodes.map((node) => String((node as { dataset: Attributes }).dataset["paletteType"])),
      );
    return found.toSorted();
  }

  /** By the dialog, from text that is pasted. Throws where that is not one tab more. */
  async import(flow: string): Promise<Imported> {
    const before = await this.#tabs();
    await this.invoke("core:show-import-dialog");
    const text = this.page.locator("#red-ui-clipboard-dialog-import-text");
    await text.fill(flow);
    await text.dispatchEvent("keyup");
    await this.page.locator("#red-ui-clipboard-dialog-ok:not([disabled])").click();
    await text.waitFor({ state: "hidden" });
    const added = (await this.#tabs()).filter((tab) => !before.includes(tab));
    const [tab] = added;
    if (tab === undefined || added.length > 1) {
      throw new Error(`the import made ${added.length} tabs instead of one`);
    }
    await this.show(tab);
    const nodes = await this.page.evaluate((id) => {
      const found: { id: string; type: string; name: string }[] = [];
      RED.nodes.eachNode(({ id: one, type, name, z }) => {
        if (z === id) found.push({ id: one, type, name });
      });
      return found;
    }, tab);
    return { tab, nodes };
  }

  /** By the button; resolves when the runtime has started the flows. */
  async deploy(): Promise<void> {
    const answered = this.page.waitForResponse(
      (response) => response.url().endsWith("/flows") && response.request().method() === "POST",
    );
    await this.page.locator("#red-ui-header-button-deploy:not(.disabled)").click();
    const response = await answered;
    if (!response.ok()) throw new Error(`deploy: ${response.status()} ${await response.text()}`);
    await this.page.locator("#red-ui-header-button-deploy.disabled").waitFor();
  }

  async show(tab: string): Promise<void> {
    await this.page.evaluate((id) => RED.workspaces.show(id), tab);
  }

  /** From the next deploy on it does not run. */
  async disable(tab: string): Promise<void> {
    await this.show(tab);
    await this.invoke("core:disable-flow");
  }

  /** By the button at the left of an inject node; resolves when the runtime has injected its message. */
  async press({ id }: ImportedNode): Promise<void> {
    const tab = await this.page.evaluate((one) => RED.nodes.node(one)?.z ?? "", id);
    await this.show(tab);
    const answered = this.page.waitForResponse((response) =>
      response.url().endsWith(`/inject/${id}`),
    );
    // The button is half hidden by the node that it belongs to.
    await this.page.locator(`[id="${id}"] .red-ui-flow-node-button-button`).click({ force: true });
    const response = await answered;
    if (!response.ok()) throw new Error(`inject: ${response.status()} ${await response.text()}`);
  }

  /** Resolves when a debug node has said something `like` this. */
  async said(
    { id, name }: ImportedNode,
    { like, msMax }: { readonly like: RegExp; readonly msMax: number },
  ): Promise<void> {
    try {
      await this.page.waitForFunction(
        ([one, pattern]) =>
          window.weirSaid?.[one]?.some((text) => new RegExp(pattern, "s").test(text)) ?? false,
        [id, like.source] as const,
        { polling: 100, timeout: msMax },
      );
    } catch (cause) {
      const message = `${like} was not said by "${name}" in ${msMax} ms. What its tab said last:`;
      throw new Error(`${message}\n${await this.#saidBeside(id)}`, { cause });
    }
  }

  /** The newest words of each debug node on the same tab, a line each. */
  async #saidBeside(id: string): Promise<string> {
    return await this.page.evaluate((one) => {
      const tab = RED.nodes.node(one)?.z;
      const lines: string[] = [];
      RED.nodes.eachNode(({ id: other, type, name, z }) => {
        const said = window.weirSaid?.[other];
        if (z === tab && type === "debug") {
          lines.push(`${name}: ${said?.length ?? 0} times, ${said?.at(-1) ?? "nothing"}`);
        }
      });
      return lines.join("\n");
    }, id);
  }

  /** Nodes that say with their status, or their triangle, that something is wrong; a function's status is the flow's. */
  async troubles(): Promise<readonly string[]> {
    return await this.page.evaluate(() => {
      const found: string[] = [];
      RED.nodes.eachNode(({ type, name, valid, status }) => {
        if (valid === false) found.push(`${type} ${name} is not configured`);
        if (status?.fill === "red" && type !== "function")
          found.push(`${type} ${name}: ${status.text ?? ""}`);
      });
      return found;
    });
  }

  /** The form of a node, as a double click opens it; of a configuration node the one that the tab uses first. */
  async openForm(type: string, { nodes }: Imported): Promise<void> {
    const id = nodes.find((node) => node.type === type)?.id;
    await this.page.evaluate(
      ([wanted, found]) => {
        const node = found === undefined ? null : RED.nodes.node(found);
        if (node !== null) return RED.editor.edit(node);
        RED.nodes.eachConfig((config) => {
          if (config.type === wanted) found ??= config.id;
        });
        RED.editor.editConfig("", wanted, found ?? "");
      },
      [type, id] as const,
    );
    await this.page.locator(".red-ui-tray .form-row:visible").first().waitFor();
    await this.settled();
  }

  /** What the forms show of configuration nodes; nothing of it is deployed. */
  async changeConfigs(type: string, changes: Readonly<Record<string, string>>): Promise<void> {
    await this.page.evaluate(
      ([wanted, changed]) =>
        RED.nodes.eachConfig((config) => {
          if (config.type === wanted) Object.assign(config, changed);
        }),
      [type, changes] as const,
    );
  }

  async closeForms(): Promise<void> {
    await this.invoke("core:cancel-edit-tray");
    await this.page.locator(".red-ui-tray").waitFor({ state: "detached" });
  }

  /** When nothing moves any more in the page. */
  async settled(): Promise<void> {
    await this.page.waitForFunction(() => !jQuery(":animated").length, undefined, { polling: 100 });
    const hasMoved = async (): Promise<boolean> => {
      const box = (): Promise<unknown> =>
        this.page.evaluate(() => JSON.stringify(jQuery(".red-ui-tray").last().offset() ?? {}));
      const before = await box();
      await this.page.waitForTimeout(200);
      return before !== (await box());
    };
    while (await hasMoved());
  }

  async #tabs(): Promise<readonly string[]> {
    return await this.page.evaluate(() => {
      const ids: string[] = [];
      RED.nodes.eachWorkspace(({ id }) => ids.push(id));
      return ids;
    });
  }
}

type Attributes = { readonly [name: string]: string | undefined };

/** In the page: each message of a debug node, by its node, as `array[3] […]`. */
function noteWhatIsSaid(): void {
  const said: Record<string, string[]> = {};
  window.weirSaid = said;
  RED.comms.subscribe("debug", (_, { id, format, msg }) => {
    (said[id] ??= []).push(`${format} ${msg}`.slice(0, 1_000));
  });
}
