import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { limits } from "../../core/limits.ts";
import type { Config } from "./config.ts";
import { explain } from "./explain.ts";
import { type ParsedConfig, parseConfig } from "./parse.ts";

const hash = "scrypt$16$1$1$c2FsdHNhbHRzYWx0c2E=$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5";

async function parse(mqtt: string): Promise<ParsedConfig> {
  const text = `version: 1\nsources: [{ name: s, topics: ["s/{d}"] }]\nmqtt: ${mqtt}\n`;
  const options = { file: "weir.yaml", cwd: "/etc/weir", env: {}, readFile: () => "" };
  return await parseConfig(text, options);
}

async function configOf(mqtt: string): Promise<Config> {
  const parsed = await parse(mqtt);
  assert.equal(parsed.kind, "config", JSON.stringify(parsed));
  assert.ok(parsed.kind === "config");
  return parsed.config;
}

async function faultOf(mqtt: string): Promise<string> {
  const parsed = await parse(mqtt);
  assert.ok(parsed.kind === "faults", mqtt);
  return parsed.faults.map(({ text }) => text).join("\n");
}

describe("users", () => {
  it("have a password, its hash, or neither where there is a file of users", async () => {
    const { mqtt } = await configOf(
      `{ usersFile: etc/users, users: [{ name: a, password: p }, { name: b, passwordHash: "${hash}" }, { name: "*", publish: ["plant/{user}/#"], subscribe: [] }] }`,
    );
    assert.equal(mqtt.usersFile, "/etc/weir/etc/users");
    assert.equal(mqtt.anonymous, false);
    assert.deepEqual(mqtt.users, [
      { name: "a", password: "p" },
      { name: "b", passwordHash: hash },
      { name: "*", publish: ["plant/{user}/#"], subscribe: [] },
    ]);
  });

  it("that make no sense are told why, at their place, without their secret", async () => {
    for (const [mqtt, why] of [
      ["{ users: [{ name: a }] }", /users\[0\]\.name: has no password: set password or/],
      [`{ users: [{ name: a, password: p, passwordHash: "${hash}" }] }`, /remove one of the two/],
      ["{ users: [{ name: a, passwordHash: hunter2 }] }", /passwordHash: is no hash that weir/],
      ["{ users: [{ name: a, passwordHash: [hunter2] }] }", /passwordHash: expected a string/],
      [`{ users: [{ name: "*", password: hunter2 }] }`, /\* is no user of its own/],
      [`{ users: [{ name: "*" }] }`, /has no password/],
      [`{ users: [{ name: "a\\0", password: p }] }`, /no control characters/],
      [
        "{ users: [{ name: a, password: p }, { name: a, password: p }] }",
        /mqtt\.users\[0\] already/,
      ],
      [
        "{ certificates: [{ name: a }, { name: a }] }",
        /this certificate is mqtt\.certificates\[0\]/,
      ],
      [`{ users: [{ name: a, password: p, publish: ["a/#/b"] }] }`, /publish\[0\]: # stands alone/],
      [
        `{ anonymousRights: { subscribe: ["a/{tag}"] } }`,
        /anonymousRights\.subscribe\[0\]: \{user\}/,
      ],
      [`{ certificates: [{ name: a, subscribe: ["$share/g/a"] }] }`, /those of their filter/],
      ["{ host: 0.0.0.0, anonymousRights: {} }", /can be reached from other machines/],
      ["{ quotas: { packet: 1MiB } }", /quotas\.packet: expected a size .* to 256KiB/],
      ["{ quotas: { messagesPerSecond: 0 } }", /messagesPerSecond: expected a whole number from 1/],
    ] as const) {
      const fault = await faultOf(mqtt);
      assert.match(fault, why);
      assert.doesNotMatch(fault, /hunter2/);
    }
  });

  it("in a file make a listener secured", async () => {
    const { mqtt } = await configOf("{ host: 0.0.0.0, usersFile: users }");
    assert.equal(mqtt.anonymous, false);
  });
});

it("anonymous clients that may do everything on the network are a warning, and so are rights of nobody", async () => {
  const open = await parse("{ host: 0.0.0.0, anonymous: true }");
  assert.ok(open.kind === "config");
  assert.match(open.warnings.join("\n"), /mqtt\.anonymous: anyone on the network may publish/);
  const bound = await parse(
    "{ host: 0.0.0.0, anonymous: true, anonymousRights: { subscribe: [] } }",
  );
  assert.ok(bound.kind === "config");
  assert.doesNotMatch(bound.warnings.join("\n"), /anonymous/);
  const nobody = await parse("{ usersFile: u, anonymousRights: { subscribe: [] } }");
  assert.ok(nobody.kind === "config");
  assert.match(nobody.warnings.join("\n"), /rights of clients that may not connect/);
});

it("quotas are bounds of the front and of users; without them those of core/limits hold", async () => {
  const { mqtt } = await configOf(
    "{ quotas: { messagesPerSecond: 10, bytesPerSecond: 2KiB, packet: 4KiB, user: { connections: 3, messagesPerSecond: 20 } } }",
  );
  assert.equal(mqtt.quotas?.front.messagesPerSecondMax, 10);
  assert.equal(mqtt.quotas?.front.bytesPerSecondMax, 2_048);
  assert.equal(mqtt.quotas?.front.packetBytesMax, 4_096);
  assert.equal(mqtt.quotas?.access.connectionsPerUserMax, 3);
  assert.equal(mqtt.quotas?.access.userMessagesPerSecondMax, 20);
  const { quotas } = (await configOf("{}")).mqtt;
  for (const [name, value] of Object.entries(quotas?.front ?? {})) {
    assert.equal(value, limits[name as keyof typeof limits], name);
  }
  assert.equal(quotas?.access.connectionsPerUserMax, limits.connectionsPerUserMax);
  assert.equal(quotas?.access.userMessagesPerSecondMax, undefined);
});

it("weir check says who may what, and no password", async () => {
  const text = explain(
    await configOf(
      `{ usersFile: etc/users, users: [{ name: pump, password: hunter2, publish: ["plant/{user}/#"] }, { name: "*", subscribe: [] }] }`,
    ),
  );
  assert.match(text, /users of \/etc\/weir\/etc\/users/);
  assert.match(text, /rights {7}pump publishes plant\/\{user\}\/#/);
  assert.match(text, /rights {7}\* subscribes to nothing/);
  assert.doesNotMatch(text, /hunter2/);
});
