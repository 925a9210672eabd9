// Passage's published browser package, unmodified, in a real Chromium: a customer keeps the script, and only where
// Passage's two host names lead has changed. Nothing is faked but the finger on the reader. The published package
// for Rust servers is tested in `tests/it/published_clients.rs`.
//
// Run it with `npm run published --workspace tests/browser`, after `cargo build --workspace --bins`. CHROMIUM names
// the browser when it is not on the PATH.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './chromium.js';
import { Passage } from './passage.js';
import { Site } from './site.js';
import { Visitor } from './visitor.js';

const TEST_WITHIN_MS = 60_000;
const SDK_VERSION = '@passageidentity/passage-flex-js 1.0.2';

let site;
let passage;
let browser;

before(
  async () => {
    site = await Site.open();
    passage = new Passage();
    await passage.start(site.origin);
    browser = await launchChromium(passage.chromiumArguments);
  },
  { timeout: TEST_WITHIN_MS },
);

after(async () => {
  await browser?.close();
  await passage?.stop();
  site?.close();
});

visit(
  'a passkey signs in by transaction, as discoverable and by autofill, until it is revoked',
  async (ann) => {
    assert.equal(await ann.ask('canRegisterPasskey'), true);
    assert.equal(await ann.ask('canAuthenticateWithPasskey'), true);

    const registration = await newTransaction('register', {
      external_id: 'ann',
      passkey_display_name: 'ann@example.com',
    });
    const registered = await verify(await ann.ask('register', registration));
    assert.equal(registered.external_id, 'ann');
    assert.equal(registered.type, 'register');
    assert.equal(registered.transaction_id, registration);

    const [credential] = await ann.passkeys();
    const { id: userId } = await findUser('ann');
    const [device, ...others] = await listDevices(userId);
    assert.deepEqual(others, []);
    assert.equal(device.id, registered.device_id);
    assert.equal(device.cred_id, Buffer.from(credential.credentialId, 'base64').toString('base64url'));
    assert.match(device.friendly_name, /^Chrome on \w/);
    assert.equal(device.usage_count, 0);

    const authentication = await newTransaction('authenticate', { external_id: 'ann' });
    const byTransaction = await verify(await ann.ask('authenticate', { transactionId: authentication }));
    assert.equal(byTransaction.external_id, 'ann');
    assert.equal(byTransaction.type, 'authenticate');
    assert.equal(byTransaction.transaction_id, authentication);
    assert.equal(byTransaction.device_id, device.id);
    assert.equal(byTransaction.user_verified, true);

    const discoverable = await verify(await ann.ask('authenticate'));
    assert.equal(discoverable.external_id, 'ann');
    assert.equal(discoverable.transaction_id, null);
    assert.equal(discoverable.device_id, device.id);

    const byAutofill = await verify(await ann.autofill());
    assert.equal(byAutofill.external_id, 'ann');
    assert.equal(byAutofill.transaction_id, null);
    assert.equal(byAutofill.device_id, device.id);

    const [used] = await listDevices(userId);
    assert.equal(used.usage_count, 3);
    const { login_count, status } = await findUser('ann');
    assert.equal(login_count, 3);
    assert.equal(status, 'active');

    const revocation = await passage.manage('DELETE', `/users/${userId}/devices/${device.id}`);
    assert.equal(revocation.status, 200);
    assert.deepEqual(await listDevices(userId), []);
    const refused = await passage.manage('POST', '/transactions/authenticate', { external_id: 'ann' });
    assert.equal(refused.status, 409);
    assert.equal(refused.answer.code, 'user_has_no_passkeys');
    // The authenticator still has it, and still offers it.
    assert.equal((await ann.passkeys()).length, 1);
    isReadable(await ann.isRefused('authenticate'), 401, 'Unauthorized');
  },
);

visit('an error of Claviger is readable on the page', async (bob) => {
  isReadable(await bob.isRefused('register', 'aTransactionOfNobody0000'), 404, 'Not Found');
  isReadable(
    await bob.isRefused('authenticate', { transactionId: 'aTransactionOfNobody0000' }),
    404,
    'Not Found',
  );

  const registration = await newTransaction('register', {
    external_id: 'bob',
    passkey_display_name: 'bob@example.com',
  });
  const nonce = await bob.ask('register', registration);
  await verify(nonce);
  isReadable(await bob.isRefused('register', registration), 404, 'Not Found');
  const again = await passage.manage('POST', '/authenticate/verify', { nonce });
  assert.equal(again.status, 401);
  assert.equal(again.answer.code, 'invalid_nonce');
});

visit('the browser does not make a second passkey on one device', async (carl) => {
  const who = { external_id: 'carl', passkey_display_name: 'carl@example.com' };
  await verify(await carl.ask('register', await newTransaction('register', who)));
  const refusal = await carl.isRefused('register', await newTransaction('register', who));
  // The package's number for what the browser refused.
  assert.equal(refusal.statusCode, 707);
  assert.equal((await carl.passkeys()).length, 1);
});

test('a page of another origin reads nothing, not even an error', { timeout: TEST_WITHIN_MS }, async () => {
  const elsewhere = await Site.open();
  try {
    const eve = await Customer.arrive(elsewhere);
    try {
      const { name, statusCode } = await eve.isRefused('authenticate');
      // The package's name for a request whose answer the browser keeps to itself.
      assert.equal(name, 'FetchError');
      assert.equal(statusCode, undefined);
    } finally {
      await eve.leave();
    }
  } finally {
    elsewhere.close();
  }
});

/** A test of one visitor of the site. */
function visit(title, steps) {
  test(title, { timeout: TEST_WITHIN_MS }, async (t) => {
    const visitor = await Customer.arrive(site);
    try {
      await steps(visitor);
      assert.deepEqual(visitor.complaints, []);
    } catch (error) {
      for (const complaint of visitor.complaints) t.diagnostic(complaint);
      t.diagnostic(passage.lastWords());
      throw error;
    } finally {
      await visitor.leave();
    }
  });
}

/** Somebody on a page of the site. */
class Customer extends Visitor {
  static async arrive(site) {
    const customer = new Customer();
    await customer.arrive(browser, site.origin);
    customer.#listen(site);
    return customer;
  }

  #listen(site) {
    this.page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin === 'https://auth.passage.id') {
        const version = request.headers()['passage-flex-version'];
        if (version !== SDK_VERSION) this.complaints.push(`the package is ${version}`);
      } else if (origin !== site.origin && origin !== 'null') {
        this.complaints.push(`the page called ${request.url()}`);
      }
    });
  }

  /** Calls a method of the package's `passkey`. @returns what it resolves to. */
  async ask(method, argument) {
    const { value, refusal } = await this.#call(method, argument);
    if (refusal) assert.fail(`${method} was refused: ${JSON.stringify(refusal)}`);
    return value;
  }

  /** Calls a method of the package's `passkey`. @returns what it rejects with. */
  async isRefused(method, argument) {
    const { value, refusal } = await this.#call(method, argument);
    assert.ok(refusal, `${method} was not refused but gave ${value}`);
    return refusal;
  }

  #call(method, argument) {
    return this.page.evaluate(
      async ({ appId, method, argument }) => {
        const { passkey } = new globalThis.PassageFlex(appId);
        try {
          return { value: await passkey[method](argument) };
        } catch ({ name, statusCode, statusText, message }) {
          return { refusal: { name, statusCode, statusText, message } };
        }
      },
      { appId: passage.appId, method, argument },
    );
  }

  /**
   * Signs in by autofill: the page asks when it is loaded, and the browser offers the passkey with the form. Given a
   * virtual authenticator, Chromium takes the offer at once.
   *
   * @returns the nonce.
   */
  async autofill() {
    // The package can do it on a fresh page only, not after another ceremony.
    await this.page.reload();
    await this.page.evaluate(() => {
      const get = navigator.credentials.get;
      navigator.credentials.get = function (options) {
        globalThis.mediation = options.mediation;
        return get.call(this, options);
      };
    });
    const nonce = await this.ask('authenticate', { isConditionalMediation: true });
    // Or it was no autofill.
    assert.equal(await this.page.evaluate(() => globalThis.mediation), 'conditional');
    return nonce;
  }
}

// What the customer's server does.

async function newTransaction(kind, body) {
  const { status, answer } = await passage.manage('POST', `/transactions/${kind}`, body);
  assert.equal(status, 201, JSON.stringify(answer));
  return answer.transaction_id;
}

async function verify(nonce) {
  const { status, answer } = await passage.manage('POST', '/authenticate/verify', { nonce });
  assert.equal(status, 200, JSON.stringify(answer));
  return answer;
}

async function findUser(externalId) {
  const { status, answer } = await passage.manage('GET', `/users?limit=1&identifier=${externalId}`);
  assert.equal(status, 200, JSON.stringify(answer));
  assert.deepEqual(
    answer.users.map(({ external_id }) => external_id),
    [externalId],
  );
  return answer.users[0];
}

async function listDevices(userId) {
  const { status, answer } = await passage.manage('GET', `/users/${userId}/devices`);
  assert.equal(status, 200, JSON.stringify(answer));
  return answer.devices;
}

/** An error as the package tells it: the status, and a sentence for people. */
function isReadable(refusal, statusCode, statusText) {
  const { message, ...rest } = refusal;
  assert.deepEqual(rest, { name: 'PassageError', statusCode, statusText });
  assert.match(message, /^[A-Z].*\w/);
}
