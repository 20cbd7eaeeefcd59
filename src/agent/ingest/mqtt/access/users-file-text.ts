/**
 * The file of users that `weir user` writes and the agent reads:
 *
 *   weir-users 1
 *   pump-gw:scrypt$16384$8$1$c2FsdHNhbHRzYWx0c2E=$a2V5a2V5...
 *
 * One user a line, the name before the last colon. Lines that begin with # are comments. Messages
 * name lines, never what is in them.
 */

import { limits } from "../../../../core/limits.ts";
import { type PasswordHash, parsePasswordHash, passwordHashText } from "./password-hash.ts";

export type FileUser = { readonly name: string; readonly hash: PasswordHash };

type ParsedUsers = {
  readonly users: readonly FileUser[];
  /** What is wrong, a sentence part each; what is right is among the users all the same. */
  readonly problems: readonly string[];
};

const HEADER = "weir-users 1";
const NAME_CHARACTERS_MAX = 128;

export function parseUsersFile(text: string): ParsedUsers {
  const users = new Map<string, FileUser>();
  const problems: string[] = [];
  const lines = text.split(/\r?\n/);
  if (lines[0] !== HEADER) {
    return { users: [], problems: [`its first line is not ${JSON.stringify(HEADER)}`] };
  }
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === "" || line.startsWith("#")) continue;
    const colon = line.lastIndexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    const hash = parsePasswordHash(line.slice(colon + 1));
    if (userNameProblem(name) !== undefined || hash === undefined) {
      problems.push(`line ${index + 1} is no user`);
    } else if (users.has(name)) {
      problems.push(`line ${index + 1} repeats a user`);
    } else if (users.size >= limits.usersMax) {
      problems.push(`it has more than ${limits.usersMax} users`);
      break;
    } else {
      users.set(name, { name, hash });
    }
  }
  return { users: [...users.values()], problems };
}

/** Users in the order of their names. */
export function usersFileText(users: readonly FileUser[]): string {
  const lines = users
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, hash }) => `${name}:${passwordHashText(hash)}`);
  return [
    HEADER,
    "# Written by weir user. The agent reads it again when it changes.",
    ...lines,
    "",
  ].join("\n");
}

/** Why a name cannot be a user's, or undefined when it can. */
export function userNameProblem(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name.length > NAME_CHARACTERS_MAX) return `is longer than ${NAME_CHARACTERS_MAX} characters`;
  if (name.startsWith("#")) return "begins with #";
  if (name === "*") return "stands for all names";
  if (/[\p{Cc}\p{Zl}\p{Zp}:]/u.test(name)) return "holds a colon or a control character";
  return undefined;
}
