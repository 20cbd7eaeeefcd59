/** The unit of systemd for an agent that is not where the Debian package puts it: deploy/weir.service, changed where it must be. */

import { assert } from "../../core/assert.ts";

export const packagedData = "/var/lib/weir";

export type UnitSettings = {
  /** What starts weir, word by word, with absolute paths. */
  readonly command: readonly string[];
  readonly user: string;
  readonly dataDirectory: string;
  /** Folders of file uplinks. */
  readonly outputs: readonly string[];
};

/** `template` is the text of deploy/weir.service. */
export function unitText(
  template: string,
  { command, user, dataDirectory, outputs }: UnitSettings,
): string {
  const outside = [dataDirectory, ...outputs].filter((path) => !isBelow(packagedData, path));
  const settings: Readonly<Record<string, readonly string[]>> = {
    RequiresMountsFor: [[dataDirectory, ...outputs].map(wordOf).join(" ")],
    ExecStart: [command.map(commandWordOf).join(" ")],
    User: [user],
    // The rest of the file system is read-only for it.
    Group: [user, ...outside.map((path) => `\nReadWritePaths=${wordOf(path)}`)],
  };
  return Object.entries(settings).reduce((text, [name, values]) => {
    const line = new RegExp(`^${name}=.*$`, "m");
    assert(line.test(text), `the unit says ${name}`);
    return text.replace(line, () => `${name}=${values.join("")}`);
  }, template);
}

/** Whether `path` is `folder` or something in it; both absolute. */
export function isBelow(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** A word as systemd reads it: quoted where it must be, and without specifiers. */
function wordOf(word: string): string {
  const plain = word.replaceAll("%", "%%");
  return /^[\w@%+=:,./-]+$/.test(plain)
    ? plain
    : `"${plain.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** In a command, a dollar sign is one of a variable. */
function commandWordOf(word: string): string {
  return wordOf(word).replaceAll("$", "$$$$");
}
