// A customer's web site without a build step: it loads the SDK from Claviger, as a script or as a module, and is isolated
// from other origins as strictly as a browser can be told. What the customer's server does, with our SDK for Node, is here as well.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { PassageFlex } from '@claviger/passage-flex-node';

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
    const { auth } = this.#passage;
    return kind === 'register'
      ? auth.createRegisterTransaction(externalId, `${externalId}@example.com`)
      : auth.createAuthenticateTransaction(externalId);
  }

  verify(nonce) {
    return this.#passage.auth.verifyNonceDetails(nonce);
  }

  /** The user, devices included. */
  user(externalId) {
    return this.#passage.user.get(externalId);
  }

  revoke(externalId, device) {
    return this.#passage.user.revokeDevice(externalId, device.id);
  }

  /** What the SDK has no call for. */
  async deactivate(user) {
    const { url, appId, apiKey } = this.#claviger;
    const response = await fetch(`${url}/v1/apps/${appId}/users/${user.id}/deactivate`, {
      method: 'PATCH',
      headers: { Authorization: `Bearer ${apiKey}` },
    });
    assert.equal(response.status, 200);
  }

  get #passage() {
    const { url, appId, apiKey } = this.#claviger;
    return new PassageFlex({ appId, apiKey, baseUrl: `${url}/v1` });
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
