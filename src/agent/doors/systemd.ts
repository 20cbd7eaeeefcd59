/**
 * What the agent says to systemd, where that has started it as a service of Type=notify: that it
 * listens, how it is, and again and again that it is alive (WatchdogSec of deploy/weir.service).
 *
 * The socket for it takes datagrams, which Node cannot send to a path; systemd-notify, a part of
 * systemd, is started for each message. One at a time: what is said meanwhile goes with the next, and
 * the newest words count.
 */

import { execFile } from "node:child_process";
import { limits } from "../../core/limits.ts";

export type Systemd = {
  /** It is up; `status` is a sentence that `systemctl status` shows. Only the first says that it is ready. */
  readonly ready: (status: string) => void;
  /** The end has begun, and may take its time. */
  readonly stopping: () => void;
  /** No further signs of life. */
  readonly close: () => void;
};

export type SystemdOptions = {
  /** The process's environment: NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are systemd's. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  /** Asked before each sign of life: without it, systemd ends the process and starts it again. */
  readonly isAlive: () => boolean;
  /** What to show from now on, asked at each sign of life; undefined: as before. */
  readonly status: () => string | undefined;
  /** systemd could not be told, and why: once. */
  readonly onFailed: (why: string) => void;
};

/** Undefined where nobody waits to be told. */
export function openSystemd(options: SystemdOptions): Systemd | undefined {
  const { env, isAlive, status } = options;
  const { NOTIFY_SOCKET: socket } = env;
  if (socket === undefined || socket === "") return undefined;
  const notices = new Notices({ ...options, socket });
  const everyMs = lifeEveryMs(options);
  const sign = (): void => {
    if (!isAlive()) return;
    const words = status();
    notices.say({ WATCHDOG: "1", ...(words === undefined ? {} : { STATUS: words }) });
  };
  const timer = everyMs === undefined ? undefined : setInterval(sign, everyMs);
  timer?.unref();
  return {
    ready: (words) => notices.say({ READY: "1", STATUS: words }),
    stopping: () => notices.say({ STOPPING: "1", STATUS: "ending" }),
    close: () => clearInterval(timer),
  };
}

/** A fraction of what systemd waits for; undefined: it does not, or not for this process. */
function lifeEveryMs({ env, pid }: Pick<SystemdOptions, "env" | "pid">): number | undefined {
  const { WATCHDOG_USEC: usec = "", WATCHDOG_PID: forPid = String(pid) } = env;
  if (!/^[1-9]\d{0,15}$/.test(usec) || forPid !== String(pid)) return undefined;
  return Math.max(1, Math.floor(Number(usec) / 1_000 / limits.watchdogSigns));
}

/** Variables of sd_notify(3). */
type Variables = Readonly<Record<string, string>>;

class Notices {
  readonly #options: SystemdOptions & { readonly socket: string };
  #next: Variables | undefined;
  #isUnderWay = false;
  #hasFailed = false;

  constructor(options: SystemdOptions & { readonly socket: string }) {
    this.#options = options;
  }

  say(variables: Variables): void {
    this.#next = { ...this.#next, ...variables };
    if (!this.#isUnderWay) this.#send();
  }

  #send(): void {
    if (this.#next === undefined) return;
    const words = Object.entries(this.#next).map(([name, value]) => `${name}=${oneLine(value)}`);
    const { env, socket, onFailed } = this.#options;
    this.#next = undefined;
    this.#isUnderWay = true;
    const settings = {
      env: { PATH: env["PATH"] ?? "/usr/bin:/bin", NOTIFY_SOCKET: socket },
      timeout: limits.notifyMs,
      killSignal: "SIGKILL" as const,
    };
    const child = execFile("systemd-notify", words, settings, (error) => {
      this.#isUnderWay = false;
      if (error !== null && !this.#hasFailed) {
        this.#hasFailed = true;
        onFailed(`systemd-notify: ${error.message.trim()}`);
      }
      this.#send();
    });
    child.unref();
  }
}

/** A line break would be the next variable. */
function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ");
}
