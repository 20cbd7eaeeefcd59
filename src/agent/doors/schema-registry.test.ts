import assert from "node:assert/strict";
import { mkdtempDisposableSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeCertificates } from "../../../test/support/kafka/certificates.ts";
import { startRegistry } from "../../../test/support/kafka/registry.ts";
import { requireTool } from "../../../test/support/require-tool.ts";
import { Fault, type FaultCode } from "../../core/faults.ts";
import { alertSchema, summarySchema } from "../../sync/kafka/message/avro.ts";
import { registerSchema, type SchemaToRegister, valueSubject } from "./schema-registry.ts";

const summary = JSON.stringify(summarySchema);
const alert = JSON.stringify(alertSchema);
const subject = valueSubject("weir.summaries");

function asked(url: string, more: Partial<SchemaToRegister> = {}): SchemaToRegister {
  return { url, subject, schema: summary, timeoutMs: 5_000, ...more };
}

async function refused(
  registering: Promise<number>,
  code: FaultCode,
  message: RegExp,
): Promise<Fault> {
  const failure = await registering.then(
    (id) => id,
    (error: unknown) => error,
  );
  assert.ok(failure instanceof Fault, String(failure));
  assert.match(failure.message, message);
  assert.equal(failure.code, code);
  assert.doesNotMatch(failure.message, /secret/);
  return failure;
}

test("a schema has one id, however often it is registered", async () => {
  await using registry = await startRegistry();
  const id = await registerSchema(asked(registry.url));
  assert.equal(registry.schema(id), summary);
  assert.equal(await registerSchema(asked(`${registry.url}/`)), id);
  const other = asked(registry.url, { subject: valueSubject("weir.alerts"), schema: alert });
  assert.notEqual(await registerSchema(other), id);
  assert.equal(registry.asked.at(-1), "POST /subjects/weir.alerts-value/versions");
});

test("a registry may lie below a path, and a subject may need escaping", async () => {
  await using registry = await startRegistry();
  registry.answer = { status: 200, body: '{"id":7,"version":1}' };
  const odd = asked(`${registry.url}/apis/ccompat/v7/`, { subject: "a b/c?-value" });
  assert.equal(await registerSchema(odd), 7);
  const path = "/apis/ccompat/v7/subjects/a%20b%2Fc%3F-value/versions";
  assert.deepEqual(registry.asked, [`POST ${path}`]);
});

test("a login is sent, and one that is refused is told without the password", async () => {
  await using registry = await startRegistry({ users: { gateway: "a:secret ü" } });
  const { url } = registry;
  const id = await registerSchema(asked(url, { user: "gateway", password: "a:secret ü" }));
  assert.equal(id, 1);
  const code = "UPLINK_LOGIN_REFUSED";
  const wrong = asked(url, { user: "gateway", password: "secret" });
  await refused(registerSchema(wrong), code, /the login was refused \(Unauthorized\): check user/);
  await refused(registerSchema(asked(url)), code, /the login was refused/);
  const inUrl = asked(url.replace("//", "//gateway:secret@"));
  await refused(registerSchema(inUrl), "CONFIG_INVALID", /^no login in the address/);
  registry.answer = { status: 403, body: '{"error_code":40301,"message":"Forbidden"}' };
  await refused(
    registerSchema(wrong),
    code,
    /may not register schemas of weir\.summaries-value \(F/,
  );
});

test("an incompatible schema is told, with the subject and the registry's words", async () => {
  await using registry = await startRegistry();
  registry.closedSubjects.add(subject);
  await registerSchema(asked(registry.url));
  const fault = await refused(
    registerSchema(asked(registry.url, { schema: alert })),
    "UPLINK_REFUSED",
    /incompatible with an earlier one of weir\.summaries-value \(Schema being .*\): choose/,
  );
  assert.deepEqual(fault.facts, {
    registry: registry.url,
    subject,
    status: 409,
    registryError: 409,
  });
});

test("a refusal keeps the registry's words, short and on one line", async () => {
  await using registry = await startRegistry();
  const { url } = registry;
  const code = "UPLINK_REFUSED";
  await refused(
    registerSchema(asked(url, { schema: "{" })),
    code,
    /does not take the schema of weir\.summaries-value \(Invalid schema\)$/,
  );
  const message = `two\n\u001b[31mlines ${"x".repeat(2_000)}`;
  registry.answer = { status: 500, body: JSON.stringify({ error_code: 50001, message }) };
  const fault = await refused(
    registerSchema(asked(url)),
    code,
    /status 500 .*\(two \[31mlines x+\.\.\.\)$/,
  );
  assert.ok(fault.message.length < 700);
});

test("what is no registry is told", async () => {
  await using registry = await startRegistry();
  const { url } = registry;
  const code = "UPLINK_REFUSED";
  await refused(registerSchema(asked(`${url}/ui`)), code, /knows nothing of subjects \(HTTP 404/);
  for (const body of [
    "<html>",
    "[]",
    "null",
    '{"id":"7"}',
    '{"id":-1}',
    '{"id":1.5}',
    '{"id":4294967296}',
  ]) {
    registry.answer = { status: 200, body };
    await refused(registerSchema(asked(url)), code, /gives no schema id: check that the url is/);
  }
  registry.answer = { status: 200, body: `{"id":7,"rest":"${"x".repeat(70_000)}"}` };
  await refused(registerSchema(asked(url)), code, /its answer is longer than 64 KiB/);
  registry.answer = { status: 301, body: "" };
  await refused(registerSchema(asked(url)), code, /HTTP status 301/);
  await refused(
    registerSchema(asked("registry:8081")),
    "CONFIG_INVALID",
    /write https:\/\/host:port$/,
  );
});

test("a registry that does not answer is given up in time", async () => {
  const registry = await startRegistry();
  const { url } = registry;
  registry.answer = "silence";
  const code = "UPLINK_UNREACHABLE";
  await refused(registerSchema(asked(url, { timeoutMs: 50 })), code, /no answer within 50 ms/);
  await registry[Symbol.asyncDispose]();
  await refused(registerSchema(asked(url)), code, /nothing listens there/);
});

test("https is spoken, and its certificate is checked", async (t) => {
  if (!requireTool(t, "openssl")) return;
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-registry-"));
  const { server, authority } = makeCertificates(folder.path);
  const tls = { key: readFileSync(server.key), cert: readFileSync(server.certificate) };
  await using registry = await startRegistry({ tls });
  const { url } = registry;
  assert.equal(await registerSchema(asked(url, { ca: readFileSync(authority) })), 1);
  const code = "UPLINK_UNREACHABLE";
  await refused(registerSchema(asked(url)), code, /authority not known here/);
  await refused(
    registerSchema(asked(url.replace("s:", ":"))),
    code,
    /perhaps this port wants https$/,
  );
  await using plain = await startRegistry();
  await refused(registerSchema(asked(plain.url.replace(":", "s:"))), code, /no TLS is spoken/);
});
