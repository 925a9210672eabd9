// A customer's web site without a build step: it loads the SDK from Claviger, as a script or as a module, and is isolated
// from other origins as strictly as a browser can be told. What the customer's server does is here as well.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** The ways of loading, by the path of the page. */
const LOADERS = {
  '/script': (sdk) => `<script src="${sdk}/passage-flex.js"></script>`,
  '/module': (sdk) => `<script type="module">
      import { PassageFlex, PassageError } from '${sdk}/passage-flex.mjs';
      Object.assign(globalThis, { PassageFlex: Object.assign(PassageFlex, { PassageError }) });
    </script>`,
};

export class Shop {
  #server;
  #claviger;

  /** Opens the site on a port of its own; `claviger` need not run yet. */
  static async open(claviger) {
    const shop = new Shop();
    shop.#claviger = claviger;
    shop.#server = createServer((request, response) => {
      const loader = LOADERS[request.url];
      if (!loader) return response.writeHead(404).end();
      const headers = {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': `default-src 'none'; script-src ${claviger.url} 'unsafe-inline'; connect-src ${claviger.url}; img-src data:`,
        'Cross-Origin-Embedder-Policy': 'require-corp',
        'Cross-Origin-Opener-Policy': 'same-origin',
      };
      response.writeHead(200, headers).end(page(loader(`${claviger.url}/sdk`)));
    });
    await once(shop.#server.listen(0, 'localhost'), 'listening');
    return shop;
  }

  get origin() {
    return `http://localhost:${this.#server.address().port}`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  // The customer's server

  async transaction(kind, externalId) {
    const { status, answer } = await this.#manage('POST', `/transactions/${kind}`, {
      external_id: externalId,
      ...(kind === 'register' && { passkey_display_name: `${externalId}@example.com` }),
    });
    assert.equal(status, 201, JSON.stringify(answer));
    return answer.transaction_id;
  }

  async verify(nonce) {
    const { status, answer } = await this.#manage('POST', '/authenticate/verify', { nonce });
    assert.equal(status, 200, JSON.stringify(answer));
    return answer;
  }

  /** The user, devices included. */
  async user(externalId) {
    const { answer } = await this.#manage('GET', `/users?limit=1&identifier=${externalId}`);
    const found = await this.#manage('GET', `/users/${answer.users[0].id}`);
    assert.equal(found.status, 200);
    return found.answer.user;
  }

  async revoke(user, device) {
    const { status } = await this.#manage('DELETE', `/users/${user.id}/devices/${device.id}`);
    assert.equal(status, 200);
  }

  async deactivate(user) {
    const { status } = await this.#manage('PATCH', `/users/${user.id}/deactivate`);
    assert.equal(status, 200);
  }

  async #manage(method, path, body) {
    const { url, appId, apiKey } = this.#claviger;
    const response = await fetch(`${url}/v1/apps/${appId}${path}`, {
      method,
      headers: { Authorization: `Bearer ${apiKey}`, ...(body && { 'Content-Type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, answer: text === '' ? undefined : JSON.parse(text) };
  }
}

function page(loader) {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>A shop</title>
    <link rel="icon" href="data:," />
    ${loader}
  </head>
  <body>
    <label>Email <input autocomplete="username webauthn" /></label>
  </body>
</html>
`;
}
