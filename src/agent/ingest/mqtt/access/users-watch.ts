/**
 * The users of a file, kept up to date: read once before anyone may log in, then looked at every
 * `usersFileLookMs`. The agent runs on whatever it finds: a file that is missing has no users; of one
 * that is partly wrong at the start the right lines count; later, a file that cannot be used leaves
 * the users as they were. What is wrong is said.
 */

import type { Clock } from "../../../../core/doors.ts";
import { parseUsersFile, type FileUser } from "./users-file-text.ts";

/** The way to one file. */
export interface UsersFileDoor {
  readonly path: string;
  /** Never rejects for the sake of the file. */
  read(): Promise<UsersFileContent>;
}

export type UsersFileContent =
  | { readonly kind: "text"; readonly text: string }
  /** The same file as at the last call. */
  | { readonly kind: "unchanged" }
  | { readonly kind: "missing" }
  /** `why` is a sentence part. */
  | { readonly kind: "unreadable"; readonly why: string };

export async function watchUsers(options: {
  readonly file: UsersFileDoor;
  readonly clock: Clock;
  readonly lookMs: number;
  readonly onUsers: (users: readonly FileUser[]) => void;
}): Promise<UsersWatch> {
  const watch = new UsersWatch(options);
  await watch.look();
  return watch;
}

export class UsersWatch {
  readonly #options: Parameters<typeof watchUsers>[0];
  #problem: string | undefined;
  #cancel: (() => void) | undefined;
  #isFirst = true;
  #isClosed = false;

  /** Use `watchUsers`. */
  constructor(options: Parameters<typeof watchUsers>[0]) {
    this.#options = options;
  }

  /** What is wrong with the file now, one sentence. */
  get problem(): string | undefined {
    return this.#problem;
  }

  async look(): Promise<void> {
    const { file, clock, lookMs } = this.#options;
    this.#take(await file.read());
    this.#isFirst = false;
    if (!this.#isClosed) this.#cancel = clock.after(lookMs, () => void this.look());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #take(content: UsersFileContent): void {
    const { path } = this.#options.file;
    switch (content.kind) {
      case "unchanged":
        return;
      case "missing":
        this.#problem = `the file of users ${path} is not there, so it has no users: add some with weir user add`;
        return this.#options.onUsers([]);
      case "unreadable":
        this.#problem = `the file of users ${path} cannot be read (${content.why}): ${this.#isFirst ? "none of its users may log in" : "its users stay as they were"}`;
        return;
      case "text":
        return this.#takeText(content.text);
    }
  }

  #takeText(text: string): void {
    const { file, onUsers } = this.#options;
    const { users, problems } = parseUsersFile(text);
    this.#problem = undefined;
    if (problems.length > 0) {
      const what = `the file of users ${file.path} is damaged: ${problems.slice(0, 3).join(", ")}`;
      const then = this.#isFirst ? "the others may log in" : "its users stay as they were";
      this.#problem = `${what}; ${then}. Write them again with weir user`;
      if (!this.#isFirst) return;
    }
    onUsers(users);
  }
}
