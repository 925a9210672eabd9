// Claviger in the place of Passage. The published clients know two hosts and no setting for another; here both names
// lead to this machine, where TLS ends and the bytes go on to Claviger as they came.

import { execFileSync, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createServer } from 'node:tls';

const CLAVIGER = join(import.meta.dirname, '..', '..', 'target', 'debug', 'claviger');
const LINES_KEPT = 30;

/** Where browsers go, and where customers' servers go. */
const BROWSER_HOST = 'auth.passage.id';
const SERVER_HOST = 'api.passage.id';

export class Passage {
  #folder;
  #claviger;
  #certificate;
  #door;
  #apiKey;
  #lastLines = [];
  /** The app of the customer. */
  appId;

  /** Starts Claviger with an app whose pages are at this origin, and opens both hosts before it. */
  async start(appOrigin) {
    this.#folder = await mkdtemp(join(tmpdir(), 'claviger-published-'));
    const { url, app_id, api_key } = await this.#startClaviger(appOrigin);
    this.appId = app_id;
    this.#apiKey = api_key;
    await this.#openDoor(Number(new URL(url).port));
  }

  async #startClaviger(appOrigin) {
    if (!existsSync(CLAVIGER)) {
      throw new Error(`${CLAVIGER} is missing; build it with: cargo build --workspace --bins`);
    }
    const child = spawn(CLAVIGER, ['dev', '--json', '--listen', '127.0.0.1:0', '--app-origin', appOrigin], {
      env: { ...process.env, CLAVIGER_DATA_DIR: join(this.#folder, 'data') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    this.#claviger = { child, ended };
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
    return JSON.parse(line);
  }

  async #openDoor(port) {
    const key = join(this.#folder, 'key.pem');
    const certificate = join(this.#folder, 'certificate.pem');
    const names = [BROWSER_HOST, SERVER_HOST].map((host) => `DNS:${host}`);
    const extension = `subjectAltName=${names.join(',')}`;
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key];
    const content = ['-subj', '/CN=A stand-in for Passage', '-addext', extension, '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...newKey, ...content, '-out', certificate], { stdio: 'pipe' });
    this.#certificate = await readFile(certificate);

    const pair = { key: await readFile(key), cert: this.#certificate };
    // The connection's end, however it comes, ends both sides, and is told by whoever waits for an answer.
    this.#door = createServer(pair, (socket) =>
      pipeline(socket, connect(port, '127.0.0.1'), socket, () => {}),
    );
    await once(this.#door.listen(0, '127.0.0.1'), 'listening');
  }

  /** What Chromium must be told to find the hosts here, and to believe this one certificate beside the usual. */
  get chromiumArguments() {
    const { publicKey } = new X509Certificate(this.#certificate);
    const spki = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
    const here = `127.0.0.1:${this.#door.address().port}`;
    const rules = [BROWSER_HOST, SERVER_HOST].map((host) => `MAP ${host} ${here}`);
    return [
      `--host-resolver-rules=${rules.join(', ')}`,
      `--ignore-certificate-errors-spki-list=${spki.digest('base64')}`,
    ];
  }

  /**
   * Calls the management API as the customer's server does: `https://api.passage.id/v1/apps/{app}{path}`.
   *
   * @returns the status and, if there is one, the answer.
   */
  async manage(method, path, body) {
    const call = request({
      host: '127.0.0.1',
      port: this.#door.address().port,
      servername: SERVER_HOST,
      ca: this.#certificate,
      agent: false,
      method,
      path: `/v1/apps/${this.appId}${path}`,
      headers: {
        Host: SERVER_HOST,
        Authorization: `Bearer ${this.#apiKey}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
    });
    call.end(body && JSON.stringify(body));
    const [response] = await once(call, 'response');
    const answer = await text(response);
    return { status: response.statusCode, answer: answer === '' ? undefined : JSON.parse(answer) };
  }

  /** The last lines that Claviger logged, for whoever has to find out what went wrong. */
  lastWords() {
    return this.#lastLines.join('\n');
  }

  /** Stops what was started, Claviger as Ctrl-C does, and removes its data. Rejects when Claviger ends badly. */
  async stop() {
    this.#door?.close();
    let end;
    if (this.#claviger) {
      const { child, ended } = this.#claviger;
      child.kill('SIGINT');
      end = await ended;
    }
    if (this.#folder) await rm(this.#folder, { recursive: true, force: true });
    const [code, signal] = end ?? [0];
    if (code !== 0) throw new Error(`Claviger ended with ${signal ?? code}:\n${this.lastWords()}`);
  }
}
