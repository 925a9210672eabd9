// Claviger in the place of Passage. The published clients know two hosts and no setting for another; here both names
// lead to this machine, where TLS ends and the bytes go on to Claviger as they came.

import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createServer } from 'node:tls';
import { Claviger } from './claviger.js';

/** Where browsers go, and where customers' servers go. */
const BROWSER_HOST = 'auth.passage.id';
const SERVER_HOST = 'api.passage.id';

export class Passage {
  #claviger = new Claviger();
  #certificate;
  #door;

  /** Starts Claviger with an app whose pages are at this origin, and opens both hosts before it. */
  async start(appOrigin) {
    await this.#claviger.start(appOrigin);
    await this.#openDoor(Number(new URL(this.#claviger.url).port));
  }

  /** The app of the customer. */
  get appId() {
    return this.#claviger.appId;
  }

  async #openDoor(port) {
    const key = join(this.#claviger.folder, 'key.pem');
    const certificate = join(this.#claviger.folder, 'certificate.pem');
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
        Authorization: `Bearer ${this.#claviger.apiKey}`,
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
    return this.#claviger.lastWords();
  }

  /** Stops what was started and removes its data. Rejects when Claviger ends badly. */
  async stop() {
    this.#door?.close();
    await this.#claviger.stop();
  }
}
