// A Claviger of the test's own, made for development, with one app. What stands before it does not concern this file.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const PROGRAM = join(import.meta.dirname, '..', '..', 'target', 'debug', 'claviger');
const LINES_KEPT = 30;

export class Claviger {
  #running;
  #lastLines = [];
  /** For whatever should go away with it. */
  folder;
  /** Where it listens, without a slash at the end. */
  url;
  appId;
  apiKey;

  /** Starts it with an app whose pages are at this origin. */
  async start(appOrigin) {
    if (!existsSync(PROGRAM)) {
      throw new Error(`${PROGRAM} is missing; build it with: cargo build --workspace --bins`);
    }
    this.folder = await mkdtemp(join(tmpdir(), 'claviger-browser-'));
    const child = spawn(PROGRAM, ['dev', '--json', '--listen', '127.0.0.1:0', '--app-origin', appOrigin], {
      env: { ...process.env, CLAVIGER_DATA_DIR: join(this.folder, 'data') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    this.#running = { child, ended };
    // However this process ends, short of SIGKILL, Claviger must not outlive it.
    process.on('exit', () => child.kill());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

    createInterface({ input: child.stderr }).on('line', (line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > LINES_KEPT) this.#lastLines.shift();
    });
    const ready = once(createInterface({ input: child.stdout }), 'line');
    const failed = ended.then(([code, signal]) => {
      throw new Error(`Claviger ended (${signal ?? code}) before it was ready:\n${this.lastWords()}`);
    });
    // It also ends when it is told to, long after somebody waited for this.
    failed.catch(() => {});
    const [line] = await Promise.race([ready, failed]);
    const { url, app_id, api_key } = JSON.parse(line);
    this.url = url.replace(/\/$/, '');
    this.appId = app_id;
    this.apiKey = api_key;
  }

  /** The last lines that it logged, for whoever has to find out what went wrong. */
  lastWords() {
    return this.#lastLines.join('\n');
  }

  /** Stops it as Ctrl-C does, and removes its data. Rejects when it ends badly. */
  async stop() {
    let end;
    if (this.#running) {
      const { child, ended } = this.#running;
      child.kill('SIGINT');
      end = await ended;
    }
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
    const [code, signal] = end ?? [0];
    if (code !== 0) throw new Error(`Claviger ended with ${signal ?? code}:\n${this.lastWords()}`);
  }
}
