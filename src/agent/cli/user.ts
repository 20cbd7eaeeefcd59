/** `weir user`: the file of users that the agent's broker reads. */

import { Fault } from "../../core/faults.ts";
import { systemHashing } from "../doors/hashing.ts";
import { systemRandom } from "../doors/random.ts";
import { systemUsersFile, writeUsersFile } from "../doors/users-file.ts";
import {
  hashPassword,
  type PasswordHash,
  passwordHashText,
} from "../ingest/mqtt/access/password-hash.ts";
import {
  type FileUser,
  parseUsersFile,
  userNameProblem,
  usersFileText,
} from "../ingest/mqtt/access/users-file-text.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { readPassword } from "./password-prompt.ts";

const actions = ["add", "passwd", "remove", "list", "hash"] as const;
type Action = (typeof actions)[number];

type Options = {
  readonly config: string;
  readonly file?: string | undefined;
  readonly "password-stdin": boolean;
  readonly json: boolean;
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    file: { type: "string" },
    "password-stdin": { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const [first = "", name, ...rest] = positionals;
  const action = actions.find((known) => known === first);
  if (action === undefined) throw new UsageError(`say one of ${actions.join(", ")}`);
  const wantsName = action !== "list" && action !== "hash";
  if (rest.length > 0 || wantsName !== (name !== undefined)) {
    throw new UsageError(wantsName ? `${action} wants one user name` : `${action} wants no name`);
  }
  if (action === "hash") {
    console.log(passwordHashText(await newHash(values)));
    return exitCodes.ok;
  }
  const path = await pathOf(values);
  if (action === "list") return list(await usersIn(path), values);
  return await change(action, { name: name ?? "", path, values });
}

async function change(
  action: Exclude<Action, "list" | "hash">,
  {
    name,
    path,
    values,
  }: { readonly name: string; readonly path: string; readonly values: Options },
): Promise<number> {
  const problem = userNameProblem(name);
  if (problem !== undefined) throw new UsageError(`the user name ${problem}`);
  const isKnown = (await usersIn(path)).some((user) => user.name === name);
  if (action === "add" && isKnown) {
    throw new UsageError(`there is a user ${name} already: weir user passwd sets the password`);
  }
  if (action !== "add" && !isKnown) {
    throw new UsageError(`there is no user ${name} in ${path}: weir user list shows them`);
  }
  const hash = action === "remove" ? undefined : await newHash(values);
  // Read again: asking for a password takes a while.
  const others = (await usersIn(path)).filter((user) => user.name !== name);
  const users = hash === undefined ? others : [...others, { name, hash }];
  await writeUsersFile(path, usersFileText(users));
  const did = { add: "added to", passwd: "has a new password in", remove: "removed from" }[action];
  console.error(`weir: ${name} ${did} ${path}; a running agent sees it within seconds`);
  return exitCodes.ok;
}

function list(users: readonly FileUser[], { json }: Options): number {
  const names = users.map(({ name }) => name);
  if (json) console.log(JSON.stringify({ users: names }));
  else for (const name of names) console.log(name);
  return exitCodes.ok;
}

async function newHash(values: Options): Promise<PasswordHash> {
  const password = await readPassword({ fromStdin: values["password-stdin"] });
  return await hashPassword(Buffer.from(password), {
    hashing: systemHashing,
    random: systemRandom(),
  });
}

/** Where --file does not say it, the configuration does. */
async function pathOf({ file, config }: Options): Promise<string> {
  if (file !== undefined) return file;
  const { usersFile } = (await readConfig(config)).mqtt;
  if (usersFile !== undefined) return usersFile;
  throw new UsageError(`${config} has no mqtt.usersFile: set it, or say --file FILE`);
}

/** Faults: USERS_FILE_UNUSABLE, rather than write a file without the users that cannot be read. */
async function usersIn(path: string): Promise<readonly FileUser[]> {
  const content = await systemUsersFile(path).read();
  if (content.kind === "missing") return [];
  const parsed = content.kind === "text" ? parseUsersFile(content.text) : undefined;
  if (parsed?.problems.length === 0) return parsed.users;
  const why = parsed?.problems[0] ?? (content.kind === "unreadable" ? content.why : content.kind);
  throw new Fault(
    "USERS_FILE_UNUSABLE",
    `the file of users ${path} cannot be used (${why}): mend it, or move it away and begin anew`,
    { facts: { path } },
  );
}
