/**
 * A stand-in for a schema registry with the REST interface of Confluent's, as far as it is documented
 * for registering schemas and reading them back:
 *
 *   POST /subjects/{subject}/versions   {"schema": "..."} -> {"id": 1}; the same text, the same id
 *   GET  /schemas/ids/{id}              -> {"schema": "..."}
 *
 * It judges no compatibility: a test says which subjects refuse what comes second.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { text } from "node:stream/consumers";

type RegistryOptions = {
  /** Who may register; everybody by default. */
  readonly users?: Readonly<Record<string, string>>;
  /** PEM; with it, https is spoken. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
};

/** What is answered instead of what would be; "silence" is none. */
export type Answer =
  | "silence"
  | { readonly status: number; readonly body: string; readonly type?: string };

type Reply = { readonly status: number; readonly body: unknown };

/** Resolves when it listens. */
export async function startRegistry(options: RegistryOptions = {}): Promise<Registry> {
  const registry = new Registry(options);
  await registry.listen();
  return registry;
}

export class Registry {
  /** Of each request that came: method and path. */
  readonly asked: string[] = [];
  /** Subjects that take no second schema. */
  readonly closedSubjects: Set<string> = new Set();
  /** Answers the next requests; undefined: as documented. */
  answer: Answer | undefined;
  readonly #options: RegistryOptions;
  readonly #server: Server;
  /** Texts of the schemas; an id is an index and one. */
  readonly #schemas: string[] = [];
  readonly #subjects = new Map<string, Set<number>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      void this.#serve(request, response);
    };
    this.#server =
      options.tls === undefined
        ? createServer(listener)
        : createSecureServer(options.tls, listener);
  }

  get url(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return `${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** The schema of an id, as its text. */
  schema(id: number): string | undefined {
    return this.#schemas[id - 1];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "", headers } = request;
    this.asked.push(`${method} ${url}`);
    const body = await text(request);
    const { answer } = this;
    if (answer === "silence") return;
    const { status, body: reply } = answer ?? this.#reply({ method, url, body, headers });
    const type = answer?.type ?? "application/vnd.schemaregistry.v1+json";
    response.writeHead(status, { "Content-Type": type });
    response.end(typeof reply === "string" ? reply : JSON.stringify(reply));
  }

  #reply(request: {
    readonly method: string;
    readonly url: string;
    readonly body: string;
    readonly headers: IncomingMessage["headers"];
  }): Reply {
    const { method, url, body, headers } = request;
    if (!this.#isKnown(headers.authorization)) return refused(401, 401, "Unauthorized");
    const [, id] = /^\/schemas\/ids\/(\d+)$/.exec(url) ?? [];
    if (method === "GET" && id !== undefined) return this.#schemaReply(Number(id));
    const [, subject] = /^\/subjects\/([^/]+)\/versions$/.exec(url) ?? [];
    if (method !== "POST" || subject === undefined) {
      return refused(404, 404, "HTTP 404 Not Found");
    }
    if (!(headers["content-type"] ?? "").startsWith("application/vnd.schemaregistry")) {
      return refused(415, 415, "HTTP 415 Unsupported Media Type");
    }
    return this.#register(decodeURIComponent(subject), body);
  }

  #schemaReply(id: number): Reply {
    const schema = this.schema(id);
    if (schema === undefined) return refused(404, 40403, `Schema ${id} not found`);
    return { status: 200, body: { schema } };
  }

  #register(subject: string, body: string): Reply {
    const schema = schemaIn(body);
    if (schema === undefined) return refused(422, 42201, "Invalid schema");
    const known = this.#schemas.indexOf(schema);
    const id = known < 0 ? this.#schemas.length + 1 : known + 1;
    const ids = this.#subjects.get(subject) ?? new Set();
    if (this.closedSubjects.has(subject) && ids.size > 0 && !ids.has(id)) {
      const message = `Schema being registered is incompatible with an earlier schema for subject "${subject}"`;
      return refused(409, 409, message);
    }
    if (known < 0) this.#schemas.push(schema);
    this.#subjects.set(subject, ids.add(id));
    return { status: 200, body: { id } };
  }

  #isKnown(authorization = ""): boolean {
    const { users } = this.#options;
    if (users === undefined) return true;
    const given = Buffer.from(authorization.replace(/^Basic /, ""), "base64").toString();
    return Object.entries(users).some(([user, password]) => given === `${user}:${password}`);
  }
}

function refused(status: number, code: number, message: string): Reply {
  return { status, body: { error_code: code, message } };
}

/** The text of the schema in a request; undefined unless it is one in JSON. */
function schemaIn(body: string): string | undefined {
  try {
    const { schema } = Object(JSON.parse(body)) as Record<string, unknown>;
    if (typeof schema !== "string") return undefined;
    const parsed: unknown = JSON.parse(schema);
    return typeof parsed === "object" || typeof parsed === "string" ? schema : undefined;
  } catch {
    return undefined;
  }
}
