// The browser SDK as Claviger serves it, in a real Chromium, on a page of another origin that knows its app id and
// nothing else. Nothing is faked but the finger on the reader, and where it says so.
//
// Run it with `npm run sdk --workspace tests/browser`, after `cargo build --workspace --bins`. CHROMIUM names the browser
// when it is not on the PATH.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { launchChromium } from './chromium.js';
import { Claviger } from './claviger.js';
import { Shop } from './shop.js';
import { Visitor } from './visitor.js';

const ROOT = join(import.meta.dirname, '..', '..');
const TEST_WITHIN_MS = 60_000;
const EVENTUALLY_MS = 5_000;

const claviger = new Claviger();
let shop;
let browser;

before(
  async () => {
    shop = await Shop.open(claviger);
    await claviger.start(shop.origin);
    browser = await launchChromium();
  },
  { timeout: TEST_WITHIN_MS },
);

after(async () => {
  await browser?.close();
  await claviger.stop();
  shop?.close();
});

for (const way of ['script', 'module']) {
  visit(`the served ${way} registers, authenticates and fills in`, `/${way}`, async (ann) => {
    const externalId = `ann-${way}`;
    assert.equal(await ann.ask('canRegisterPasskey'), true);
    assert.equal(await ann.ask('canAuthenticateWithPasskey'), true);
    assert.equal(await ann.ask('canUseConditionalMediation'), true);

    const registration = await shop.transaction('register', externalId);
    const registered = await shop.verify(await ann.ask('register', registration));
    assert.equal(registered.externalId, externalId);
    assert.equal(registered.transactionId, registration);

    const transactionId = await shop.transaction('authenticate', externalId);
    const known = await shop.verify(await ann.ask('authenticate', { transactionId }));
    assert.equal(known.transactionId, transactionId);
    assert.equal(known.deviceId, registered.deviceId);
    assert.equal(known.userVerified, true);

    const discovered = await shop.verify(await ann.ask('authenticate'));
    assert.equal(discovered.externalId, externalId);
    assert.equal(discovered.transactionId, null);

    // Chromium takes an offer of autofill by itself, given a virtual reader.
    const filledIn = await shop.verify(await ann.ask('authenticate', { isConditionalMediation: true }));
    assert.equal(filledIn.externalId, externalId);
    await ann.wasAsked(['modal', 'modal', 'modal', 'conditional']);
  });
}

visit(
  "an error of the service has its code, and the script's class to be told by",
  '/script',
  async (bob) => {
    const refusal = await bob.isRefused('register', 'aTransactionOfNobody0000');
    assert.deepEqual(refusal, {
      isPassageError: true,
      code: 'transaction_not_found',
      statusCode: 404,
      message: refusal.message,
    });
    assert.match(refusal.message, /^[A-Z].*\w/);
  },
);

visit('autofill survives a prompt that works out, and then fills in', '/module', async (cleo) => {
  await cleo.register('cleo');
  await cleo.removeFinger();
  const autofill = await cleo.begin('authenticate', { isConditionalMediation: true });
  await cleo.wasAsked(['conditional']);

  const transactionId = await shop.transaction('authenticate', 'cleo');
  await cleo.putFinger();
  const proof = await shop.verify(await cleo.ask('authenticate', { transactionId }));
  assert.equal(proof.transactionId, transactionId);

  const filledIn = await shop.verify(await cleo.outcome(autofill));
  assert.equal(filledIn.externalId, 'cleo');
  assert.equal(filledIn.transactionId, null);
  await cleo.wasAsked(['conditional', 'modal', 'conditional']);
});

visit('autofill survives a prompt that is ended, and a registration', '/script', async (dora) => {
  await dora.removeFinger();
  const autofill = await dora.begin('authenticate', { isConditionalMediation: true });
  await dora.wasAsked(['conditional']);

  const modal = await dora.begin('authenticate', {}, { endsBySignal: true });
  await dora.wasAsked(['conditional', 'modal']);
  await dora.end(modal);
  assert.equal((await dora.refusal(modal)).code, 'ceremony_aborted');
  await dora.wasAsked(['conditional', 'modal', 'conditional']);

  const transactionId = await shop.transaction('register', 'dora');
  await dora.putFinger();
  await shop.verify(await dora.ask('register', transactionId));
  const filledIn = await shop.verify(await dora.outcome(autofill));
  assert.equal(filledIn.externalId, 'dora');
  await dora.wasAsked(['conditional', 'modal', 'conditional', 'modal', 'conditional']);
});

visit('a newer request ends an older one, and the page ends autofill', '/module', async (emil) => {
  await emil.register('emil');
  await emil.removeFinger();
  const first = await emil.begin('authenticate');
  await emil.wasAsked(['modal']);
  await emil.putFinger();
  assert.equal((await shop.verify(await emil.ask('authenticate'))).externalId, 'emil');
  assert.equal((await emil.refusal(first)).code, 'ceremony_aborted');

  await emil.removeFinger();
  const autofill = await emil.begin('authenticate', { isConditionalMediation: true }, { endsBySignal: true });
  await emil.wasAsked(['modal', 'modal', 'conditional']);
  await emil.end(autofill);
  assert.equal((await emil.refusal(autofill)).code, 'ceremony_aborted');
  await emil.putFinger();
  assert.equal((await shop.verify(await emil.ask('authenticate'))).externalId, 'emil');
});

visit('a revoked passkey stays until the page says so, then it is gone', '/script', async (fay) => {
  await fay.register('fay');
  const user = await shop.user('fay');
  const [device] = user.webauthnDevices;
  await shop.revoke('fay', device);

  const refusal = await fay.isRefused('authenticate');
  await fay.wasAsked(['modal']);
  assert.equal(refusal.code, 'discoverable_login_failed');
  // The refusal does not say why, so it is no reason to remove anything.
  assert.equal((await fay.passkeys()).length, 1);

  // A browser refuses signals while a request is pending, even one of autofill.
  await fay.removeFinger();
  const autofill = await fay.begin('authenticate', { isConditionalMediation: true });
  await fay.wasAsked(['modal', 'conditional']);
  assert.equal(await fay.ask('signalRevoked', { credentialId: device.credId }), true);
  await fay.holds([]);
  await fay.wasAsked(['modal', 'conditional', 'conditional']);

  await fay.putFinger();
  await fay.register('fay');
  assert.equal((await shop.verify(await fay.outcome(autofill))).externalId, 'fay');
});

visit(
  'the reader keeps the passkeys that the service holds, under their new name',
  '/module',
  async (gus) => {
    await gus.register('gus');
    const user = await shop.user('gus');
    const [{ credId: credentialId }] = user.webauthnDevices;
    await gus.ask('signalUserDetails', { userId: user.id, name: 'gus@example.org', displayName: 'Gus' });
    await gus.ask('signalAccepted', { userId: user.id, credentialIds: [credentialId] });
    await gus.holds([credentialId]);
    const [{ userName, userDisplayName }] = await gus.passkeys();
    assert.deepEqual({ userName, userDisplayName }, { userName: 'gus@example.org', userDisplayName: 'Gus' });

    await gus.ask('signalAccepted', { userId: 'somebodyElse', credentialIds: [] });
    await gus.holds([credentialId]);
    await gus.ask('signalAccepted', { userId: user.id, credentialIds: [] });
    await gus.holds([]);
  },
);

visit('a passkey that the service refuses when it is made is taken back', '/script', async (hal) => {
  await hal.register('hal');
  await hal.detachReader();
  const registration = await hal.begin('register', await shop.transaction('register', 'hal'));
  await hal.wasAsked(['modal']);
  await shop.deactivate(await shop.user('hal'));
  await hal.attachReader();
  const refusal = await hal.refusal(registration);
  assert.equal(refusal.statusCode, 403);
  assert.equal(refusal.code, 'user_not_active');
  assert.equal(await hal.page.evaluate(() => globalThis.made), 1);
  await hal.holds([]);
});

visit('the recipe for a step-up takes what it should, and nothing else', '/module', async (kim) => {
  const { startStepUp, finishStepUp } = await recipe();
  await kim.register('kim');
  const session = { userId: 'kim' };
  const stepUp = async () => kim.ask('authenticate', { transactionId: await startStepUp(session) });

  const nonce = await stepUp();
  assert.equal(await finishStepUp(session, nonce), true);
  assert.equal(await finishStepUp(session, nonce), false, 'used');
  await startStepUp(session);
  assert.equal(await finishStepUp(session, nonce), false, 'used, in another step-up');

  const earlier = await stepUp();
  await startStepUp(session);
  assert.equal(await finishStepUp(session, earlier), false, 'another transaction');
  await startStepUp(session);
  assert.equal(await finishStepUp(session, await kim.ask('authenticate')), false, 'no transaction');

  const stranger = { ...session, userId: 'lee' };
  const borrowed = await stepUp();
  assert.equal(await finishStepUp({ ...stranger, stepUp: session.stepUp }, borrowed), false, 'another user');

  const late = await stepUp();
  session.stepUp.startedAtMs -= 5 * 60_000 + 1;
  assert.equal(await finishStepUp(session, late), false, 'late');

  const passkeys = await kim.passkeys();
  await kim.detachReader();
  await kim.attachReader({ recognizes: false, passkeys });
  const touched = await stepUp();
  assert.equal(await finishStepUp(session, touched), false, 'touched, but not verified');
});

visit('a passkey is made in passing where the browser can, and the service knows', '/module', async (ina) => {
  assert.equal(await ina.ask('canUseConditionalCreate'), true);
  // Chromium makes none for a virtual reader. So the real request is made, and answered as an ordinary one.
  await ina.page.evaluate(() => {
    const create = navigator.credentials.create;
    navigator.credentials.create = function ({ mediation, ...options }) {
      globalThis.mediationOfCreate = mediation;
      return create.call(this, options);
    };
  });
  const started = ina.page.waitForRequest((request) =>
    request.url().endsWith('/register/transactions/webauthn/start'),
  );
  const transactionId = await shop.transaction('register', 'ina');
  const nonce = await ina.ask('register', transactionId, { isConditional: true });
  assert.equal((await started).postDataJSON().mediation, 'conditional');
  assert.equal(await ina.page.evaluate(() => globalThis.mediationOfCreate), 'conditional');
  assert.equal((await shop.verify(nonce)).transactionId, transactionId);
  assert.equal((await shop.verify(await ina.ask('authenticate'))).externalId, 'ina');
});

visit('a passkey in passing can be ended by the page, and by a prompt', '/script', async (joan) => {
  const inPassing = { isConditional: true };
  const first = await joan.begin('register', await shop.transaction('register', 'joan'), {
    options: inPassing,
    endsBySignal: true,
  });
  await joan.wasAsked(['conditional']);
  await joan.end(first);
  assert.equal((await joan.refusal(first)).code, 'ceremony_aborted');

  const second = await joan.begin('register', await shop.transaction('register', 'joan'), {
    options: inPassing,
  });
  await joan.wasAsked(['conditional', 'conditional']);
  await joan.register('joan');
  assert.equal((await joan.refusal(second)).code, 'ceremony_aborted');
});

/** The module that `docs/step-up.md` gives for Node. */
async function recipe() {
  const text = await readFile(join(ROOT, 'docs', 'step-up.md'), 'utf8');
  const [, source] = /^```js\n(.*?)^```$/ms.exec(text);
  Object.assign(process.env, {
    PASSAGE_APP_ID: claviger.appId,
    PASSAGE_API_KEY: claviger.apiKey,
    PASSAGE_BASE_URL: `${claviger.url}/v1`,
  });
  // Below the folder of the packages, where its import is found.
  const folder = await mkdtemp(join(ROOT, 'target', 'step-up-'));
  try {
    const file = join(folder, 'step-up.mjs');
    await writeFile(file, source);
    return await import(pathToFileURL(file));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A test of one visitor of one page of the shop. */
function visit(title, path, steps) {
  test(title, { timeout: TEST_WITHIN_MS }, async (t) => {
    const customer = new Customer();
    try {
      await customer.arriveAt(path);
      await steps(customer);
      assert.deepEqual(customer.complaints, []);
    } catch (error) {
      for (const complaint of customer.complaints) t.diagnostic(complaint);
      t.diagnostic(claviger.lastWords());
      throw error;
    } finally {
      await customer.leave();
    }
  });
}

/** Somebody on a page of the shop. */
class Customer extends Visitor {
  async arriveAt(path) {
    await this.arrive(browser, shop.origin + path);
    this.page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== claviger.url && origin !== shop.origin) {
        this.complaints.push(`the page called ${request.url()}`);
      }
    });
    await this.page.evaluate((appId) => {
      globalThis.passkey = new globalThis.PassageFlex(appId).passkey;
      globalThis.calls = [];
      globalThis.prompts = [];
      globalThis.made = 0;
      for (const name of ['create', 'get']) {
        const real = navigator.credentials[name];
        navigator.credentials[name] = async function (options) {
          globalThis.prompts.push(options.mediation ?? 'modal');
          const credential = await real.call(this, options);
          if (name === 'create') globalThis.made += 1;
          return credential;
        };
      }
    }, claviger.appId);
  }

  /** A passkey for a user who may be new. What the browser was asked for until then is forgotten. */
  async register(externalId) {
    const nonce = await this.ask('register', await shop.transaction('register', externalId));
    assert.equal((await shop.verify(nonce)).externalId, externalId);
    await this.page.evaluate(() => {
      globalThis.prompts = [];
      globalThis.made = 0;
    });
  }

  /** Calls a method of `passkey`. @returns what it resolves to. */
  async ask(method, argument, options) {
    return this.outcome(await this.begin(method, argument, { options }));
  }

  /** Calls a method of `passkey`. @returns what it rejects with. */
  async isRefused(method, argument) {
    return this.refusal(await this.begin(method, argument));
  }

  /** Calls a method of `passkey` and does not wait. @returns which call it is. */
  begin(method, argument, { options = {}, endsBySignal = false } = {}) {
    return this.page.evaluate(
      ({ method, argument, options, endsBySignal }) => {
        const controller = new AbortController();
        const further = endsBySignal ? { signal: controller.signal } : {};
        const given =
          method === 'register' ? [argument, { ...options, ...further }] : [{ ...argument, ...further }];
        const settled = globalThis.passkey[method](...given).then(
          (value) => ({ value }),
          (error) => {
            const { code, statusCode, message } = error;
            const isPassageError = error instanceof globalThis.PassageFlex.PassageError;
            return { refusal: { isPassageError, code, statusCode, message } };
          },
        );
        return globalThis.calls.push({ settled, controller }) - 1;
      },
      { method, argument, options, endsBySignal },
    );
  }

  /** Ends a call by its signal. */
  end(call) {
    return this.page.evaluate((call) => globalThis.calls[call].controller.abort(), call);
  }

  /** Waits for a call. @returns what it resolved to. */
  async outcome(call) {
    const { value, refusal } = await this.#settled(call);
    if (refusal) assert.fail(`refused: ${JSON.stringify(refusal)}`);
    return value;
  }

  /** Waits for a call. @returns what it rejected with. */
  async refusal(call) {
    const { value, refusal } = await this.#settled(call);
    assert.ok(refusal, `not refused but ${value}`);
    return refusal;
  }

  #settled(call) {
    return this.page.evaluate((call) => globalThis.calls[call].settled, call);
  }

  /** Waits until the browser was asked for just this, one after the other. */
  async wasAsked(expected) {
    await eventually(() => this.page.evaluate(() => globalThis.prompts), expected);
  }

  /** Waits until the reader holds these credentials and no others. */
  async holds(expected) {
    const ids = async () => {
      const passkeys = await this.passkeys();
      return passkeys.map(({ credentialId }) => Buffer.from(credentialId, 'base64').toString('base64url'));
    };
    await eventually(ids, expected);
  }
}

/** Looks again and again until it sees what is expected, and says what it saw instead when patience ends. */
async function eventually(look, expected) {
  const until = Date.now() + EVENTUALLY_MS;
  let seen;
  do {
    seen = await look();
  } while (!isDeepStrictEqual(seen, expected) && Date.now() < until);
  assert.deepEqual(seen, expected);
}
