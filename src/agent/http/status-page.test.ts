import assert from "node:assert/strict";
import { test } from "node:test";
import { createContext, Script } from "node:vm";
import { sampleView } from "../../../test/support/agent-view.ts";
import { statusPage } from "./status-page.ts";

/** As much of an element as the page uses. */
class FakeElement {
  textContent = "";
  className = "";
  hidden = false;
  value = "";
  readonly heard = new Map<string, (event: unknown) => void>();
  append(): void {}
  replaceChildren(): void {}
  focus(): void {}
  addEventListener(kind: string, run: (event: unknown) => void): void {
    this.heard.set(kind, run);
  }
}

type Page = {
  readonly element: (id: string) => FakeElement;
  readonly storage: Map<string, string>;
  readonly asked: { readonly path: string; readonly authorization: string | undefined }[];
  /** Runs what the page has put off, and waits for what follows. */
  readonly later: () => Promise<void>;
};

/** The page's script in a browser of paper; `right` is the token its server takes. */
async function open(right: string): Promise<Page> {
  const elements = new Map<string, FakeElement>();
  const element = (id: string): FakeElement => {
    const known = elements.get(id) ?? new FakeElement();
    elements.set(id, known);
    return known;
  };
  const storage = new Map<string, string>();
  const asked: Page["asked"] = [];
  const view = sampleView();
  const bodies: Readonly<Record<string, unknown>> = {
    "/v1/status": view.status(),
    "/v1/ledger": view.ledger(),
    "/v1/alerts": { alerts: view.recentAlerts() },
  };
  let waiting: (() => void)[] = [];
  const fetch = async (
    path: string,
    options: { headers: Record<string, string> },
  ): Promise<unknown> => {
    const authorization = options.headers["Authorization"];
    asked.push({ path, authorization });
    const ok = authorization === `Bearer ${right}`;
    const body = ok ? bodies[path] : { message: "the token is not known here" };
    return { ok, status: ok ? 200 : 401, json: async () => JSON.parse(JSON.stringify(body)) };
  };
  const script = /<script>([^]*)<\/script>/.exec(statusPage.body)?.[1] ?? "";
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  new Script(script).runInContext(
    createContext({
      document: { getElementById: element, createElement: () => new FakeElement(), title: "" },
      sessionStorage: {
        getItem: (key: string) => storage.get(key) ?? null,
        setItem: (key: string, value: string) => storage.set(key, value),
      },
      fetch,
      Intl,
      AbortSignal: { timeout: () => undefined },
      setTimeout: (run: () => void) => waiting.push(run),
    }),
  );
  await turns();
  const later = async (): Promise<void> => {
    const due = waiting;
    waiting = [];
    for (const run of due) run();
    await turns();
  };
  return { element, storage, asked, later };
}

function submit(page: Page, token: string): Promise<void> {
  page.element("token").value = token;
  page.element("login").heard.get("submit")?.({ preventDefault: () => undefined });
  return page.later();
}

test("where a token is needed the page asks for it, and shows nothing before", async () => {
  const page = await open("weir_right");
  assert.equal(page.element("login").hidden, false);
  assert.equal(page.element("shown").hidden, true);
  assert.equal(page.element("why").textContent, "");
  assert.deepEqual([...page.storage], []);
  const before = page.asked.length;
  await page.later();
  assert.equal(page.asked.length, before, "it does not ask again by itself");

  await submit(page, "weir_wrong");
  assert.equal(page.element("why").textContent, "the token is not known here");
  assert.equal(page.element("login").hidden, false);

  await submit(page, " weir_right ");
  assert.equal(page.element("login").hidden, true);
  assert.equal(page.element("shown").hidden, false);
  assert.equal(page.element("agent").textContent, "pumphouse-7");
  assert.equal(page.element("token").value, "");
  assert.deepEqual([...page.storage], [["weir-token", "weir_right"]]);
  await page.later();
  assert.equal(page.asked.at(-1)?.authorization, "Bearer weir_right");
});
