// A customer's web site that uses Passage's published browser package. The package's own ES module is served as it
// lies in node_modules; an import map finds it, so that nothing is bundled, and nothing rewritten.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const SDK = fileURLToPath(import.meta.resolve('@passageidentity/passage-flex-js'));
// Node finds the CommonJS builds, for those who require; the ES modules lie beside them.
const SDK_UTILS = createRequire(SDK)
  .resolve('@passageidentity/webauthnutils')
  .replace(/\.cjs$/, '.js');
const UA_PARSER = createRequire(SDK_UTILS).resolve('ua-parser-js');

const IMPORTS = {
  '@passageidentity/passage-flex-js': '/passage-flex-js.js',
  '@passageidentity/webauthnutils': '/webauthnutils.js',
  'ua-parser-js': '/ua-parser-module.js',
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>A customer of Passage</title>
    <link rel="icon" href="data:," />
    <script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
    <script type="module">
      import { PassageFlex } from '@passageidentity/passage-flex-js';
      globalThis.PassageFlex = PassageFlex;
    </script>
  </head>
  <body>
    <label>Email <input autocomplete="username webauthn" /></label>
  </body>
</html>
`;

const FILES = {
  '/': { type: 'text/html', read: () => PAGE },
  '/passage-flex-js.js': script(() => readFile(SDK)),
  '/webauthnutils.js': script(() => readFile(SDK_UTILS)),
  '/ua-parser.js': script(() => readFile(UA_PARSER)),
  // It has no ES module: run as a script, it leaves a global.
  '/ua-parser-module.js': script(() => "import '/ua-parser.js';\nexport default globalThis.UAParser;\n"),
};

export class Site {
  #server;

  /** Opens the site on a port of its own. */
  static async open() {
    const site = new Site();
    site.#server = createServer(async (request, response) => {
      const file = FILES[request.url];
      if (!file) return response.writeHead(404).end();
      const body = await file.read();
      response.writeHead(200, { 'Content-Type': file.type }).end(body);
    });
    await once(site.#server.listen(0, 'localhost'), 'listening');
    return site;
  }

  get origin() {
    return `http://localhost:${this.#server.address().port}`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

function script(read) {
  return { type: 'text/javascript', read };
}
