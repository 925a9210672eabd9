// The whole system as a person starts it: `cargo xtask demo`, in a folder and on ports of its own. What is in the
// pages does not concern this file.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

const ROOT = join(import.meta.dirname, '..', '..');

/** Long, because a machine that never built the programs builds them first. */
const START_WITHIN_MS = 15 * 60_000;
const STOP_WITHIN_MS = 20_000;
const LINES_KEPT = 30;

/** Below the ports that systems give to outgoing connections: ours must still be free when the demo restarts. */
const PORTS = { first: 20_000, last: 32_000 };

/** One demo, which can be stopped and started again on the same data and ports. */
export class Demo {
  #dataDir;
  #port;
  #webPort;
  #serverPort;
  /** What runs now: the process, its last lines, and its end. */
  #running;

  /** Chooses a folder and ports; starts nothing. */
  static async prepare() {
    const demo = new Demo();
    demo.#dataDir = await mkdtemp(join(tmpdir(), 'claviger-walk-'));
    [demo.#port, demo.#webPort, demo.#serverPort] = await freePorts(3);
    // However this process ends, short of SIGKILL, the demo must not outlive it.
    const leave = () => interrupt(demo.#running?.child.pid);
    process.on('exit', leave);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.once(signal, () => {
        leave();
        process.exit(1);
      });
    }
    return demo;
  }

  /** The page to open. */
  get url() {
    return `http://localhost:${this.#webPort}/`;
  }

  /** The issuer of the pool's tokens begins with this. */
  get issuerBase() {
    return `http://localhost:${this.#port}/`;
  }

  /** Resolves when the demo says which page to open; rejects with its last words when it ends instead. */
  async start() {
    const ports = ['--port', this.#port, '--web-port', this.#webPort, '--server-port', this.#serverPort];
    const child = spawn('cargo', ['xtask', 'demo', '--data-dir', this.#dataDir, ...ports.map(String)], {
      cwd: ROOT,
      // A process group of its own: a Ctrl-C at the terminal reaches it through us only.
      detached: true,
      // An error is told in a sentence; backtraces are for panics.
      env: { ...process.env, RUST_LIB_BACKTRACE: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const lastLines = [];
    const ended = once(child, 'exit');
    this.#running = { child, lastLines, ended };

    const invitation = `Open  ${this.url.replace(/\/$/, '')}`;
    const invited = new Promise((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          const text = stripVTControlCharacters(line);
          lastLines.push(text);
          if (lastLines.length > LINES_KEPT) lastLines.shift();
          if (text.trim() === invitation) resolve();
        });
      }
    });
    // Later than its exit: everything it said has been read.
    const failed = once(child, 'close').then(([code, signal]) => {
      throw new Error(`the demo ended (${signal ?? code}) before it was ready:\n${lastLines.join('\n')}`);
    });
    // The demo also ends when it is told to, long after somebody waited for this.
    failed.catch(() => {});
    try {
      await within(START_WITHIN_MS, 'the demo did not become ready', Promise.race([invited, failed]));
    } catch (error) {
      // How it stops is of no interest beside why it did not start.
      await this.stop().catch(() => {});
      throw error;
    }
  }

  /** Stops the demo as Ctrl-C does, and makes sure that nothing of it is left. Rejects when something was. */
  async stop() {
    const running = this.#running;
    if (!running) return;
    this.#running = undefined;
    const { child, ended, lastLines } = running;
    const family = descendants(child.pid);
    let problem;
    try {
      interrupt(child.pid);
      const [code, signal] = await within(STOP_WITHIN_MS, 'the demo did not stop', ended);
      if (code !== 0) problem = new Error(`the demo ended with ${signal ?? code}:\n${lastLines.join('\n')}`);
    } catch (error) {
      problem = error;
    }
    const left = [...family, ...descendants(child.pid)].filter(isRunning);
    for (const { pid } of left) send('SIGKILL', pid);
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    if (left.length > 0) {
      const names = left.map(({ command }) => command).join('\n');
      problem ??= new Error(`the demo stopped and left running:\n${names}`);
    }
    if (problem) throw problem;
  }

  /** Stops the demo and removes its data. */
  async discard() {
    try {
      await this.stop();
    } finally {
      await rm(this.#dataDir, { recursive: true, force: true });
    }
  }

  /** The last lines of the demo and of each log it wrote, for whoever has to find out what went wrong. */
  async lastWords() {
    const folder = join(this.#dataDir, 'logs');
    const files = await readdir(folder).catch(() => []);
    const logs = files.map(async (file) => {
      const lines = (await readFile(join(folder, file), 'utf8')).trimEnd().split('\n');
      return [`--- ${file}`, ...lines.slice(-LINES_KEPT)];
    });
    const words = [['--- demo', ...(this.#running?.lastLines ?? [])], ...(await Promise.all(logs))];
    return stripVTControlCharacters(words.flat().join('\n'));
  }
}

async function within(limitMs, complaint, promise) {
  let timer;
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${complaint} within ${limitMs / 1000} s`)), limitMs);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

async function freePorts(count) {
  const found = [];
  for (let port = randomPort(); found.length < count; port = randomPort()) {
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

function randomPort() {
  return PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
}

/** Free on every address, so whichever of them a program chooses for `localhost`. */
async function isFree(port) {
  const server = createServer();
  try {
    await once(server.listen(port), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/** Every process that runs on this machine. */
function processes() {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((columns) => columns !== null)
    .map(([, pid, parent, state, command]) => ({ pid: Number(pid), parent: Number(parent), state, command }))
    .filter(({ state }) => !state.startsWith('Z'));
}

/** The children of a process, their children, and so on. */
function descendants(ancestor) {
  const all = processes();
  const family = [];
  for (let generation = [ancestor]; generation.length > 0;) {
    const children = all.filter(({ parent }) => generation.includes(parent));
    family.push(...children);
    generation = children.map(({ pid }) => pid);
  }
  return family;
}

/** The command is compared as well, because a process id may be another process's by now. */
function isRunning({ pid, command }) {
  return processes().some((process) => process.pid === pid && process.command === command);
}

/** Does what Ctrl-C at a terminal does to the program in the foreground. */
function interrupt(pid) {
  if (pid !== undefined) send('SIGINT', -pid);
}

function send(signal, target) {
  try {
    process.kill(target, signal);
  } catch (error) {
    // What ended in the meantime needs no signal.
    if (error.code !== 'ESRCH') throw error;
  }
}
