import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassageFlex } from '@claviger/passage-flex';
import { bytes, FakeBrowser, json, prompted, waitsForever } from './fake-browser.js';

const { passkey } = new PassageFlex('app1', { baseUrl: 'https://service.test/v1' });

const credential = {
  id: 'bXluZQ',
  rawId: bytes('myne'),
  type: 'public-key',
  getClientExtensionResults: () => ({}),
  response: {
    authenticatorData: bytes('data'),
    clientDataJSON: bytes('{}'),
    signature: bytes('signature'),
    userHandle: bytes('user'),
  },
};

/** Every start gives a handshake of its own, and every nonce names its handshake. */
function browser(): FakeBrowser {
  let started = 0;
  return new FakeBrowser().service(({ url, body }) => {
    if (url.endsWith('/finish')) return json(200, { nonce: `nonce of ${body['handshake_id']}` });
    started += 1;
    const publicKey = { challenge: 'Y2hhbGxlbmdl', rpId: 'example.com' };
    return json(200, { handshake: { id: `handshake ${started}`, challenge: { publicKey } } });
  });
}

/** A page whose autofill waits behind its field. */
async function waitingPage(signal?: AbortSignal) {
  const page = browser();
  const waiting = prompted(page);
  const autofill = passkey.authenticate({ isConditionalMediation: true, ...(signal && { signal }) });
  await waiting;
  return { page, autofill };
}

function mediations(page: FakeBrowser): (string | undefined)[] {
  return page.prompts.map(({ mediation }) => mediation);
}

test('autofill survives a prompt that works out, and waits on with the handshake it had', async () => {
  const { page, autofill } = await waitingPage();
  const back = new Promise<void>((resolve) => {
    page.authenticator(async (options) => {
      if (options.mediation !== 'conditional') return credential;
      resolve();
      return waitsForever(options);
    });
  });
  const modal = passkey.authenticate({ transactionId: 'transaction1' });
  assert.equal(await modal, 'nonce of handshake 2');
  assert.equal(page.prompts[0].signal.aborted, true);

  await back;
  assert.deepEqual(mediations(page), ['conditional', undefined, 'conditional']);
  assert.equal(page.prompts[2].signal.aborted, false);
  assert.equal(page.paths().filter((path) => path.endsWith('/start')).length, 2);
  await end(page, autofill);
});

test('autofill survives a prompt that is cancelled, and then takes the passkey', async () => {
  const { page, autofill } = await waitingPage();
  page.authenticator(async ({ mediation }) => {
    if (mediation === 'conditional') return credential;
    throw new DOMException('', 'NotAllowedError');
  });
  await assert.rejects(passkey.authenticate(), { code: 'passkey_cancelled' });
  assert.equal(await autofill, 'nonce of handshake 1');
});

test('autofill stays away until the last prompt is through, its call to the service included', async () => {
  const { page, autofill } = await waitingPage();
  const second = prompted(page);
  const first = passkey.authenticate();
  await second;
  page.authenticator(async () => credential);
  const replacing = passkey.authenticate();
  await assert.rejects(first, { code: 'ceremony_aborted' });
  assert.equal(await replacing, 'nonce of handshake 3');
  assert.equal(await autofill, 'nonce of handshake 1');
  const steps = page.sent.map(({ url, body }) => `${url.split('/').pop()} ${body['handshake_id'] ?? ''}`);
  assert.deepEqual(steps.slice(-2), ['finish handshake 3', 'finish handshake 1']);
});

test('autofill that is asked for while a prompt is open waits for its turn', async () => {
  const page = browser();
  const open = prompted(page);
  const modal = passkey.authenticate();
  await open;
  const autofill = passkey.authenticate({ isConditionalMediation: true });
  await new Promise(setImmediate);
  assert.deepEqual(mediations(page), [undefined]);
  assert.equal(page.prompts[0].signal.aborted, false);

  page.authenticator(async () => credential);
  await Promise.all([assert.rejects(modal, { code: 'ceremony_aborted' }), passkey.authenticate()]);
  assert.equal(await autofill, 'nonce of handshake 2');
});

test('a newer autofill takes the place of the one that waits', async () => {
  const { page, autofill } = await waitingPage();
  const again = prompted(page);
  const newer = passkey.authenticate({ isConditionalMediation: true });
  await assert.rejects(autofill, { code: 'ceremony_aborted' });
  await again;
  assert.deepEqual(
    page.prompts.map(({ signal }) => signal.aborted),
    [true, false],
  );
  await end(page, newer);
});

test('the page ends autofill with its signal, also while a prompt is open', async () => {
  const controller = new AbortController();
  const { page, autofill } = await waitingPage(controller.signal);
  const open = prompted(page);
  const modal = passkey.authenticate();
  await open;
  controller.abort();
  await assert.rejects(autofill, { code: 'ceremony_aborted' });
  assert.equal(page.prompts[1].signal.aborted, false);

  page.authenticator(async () => credential);
  await Promise.all([assert.rejects(modal, { code: 'ceremony_aborted' }), passkey.authenticate()]);
  await new Promise(setImmediate);
  assert.deepEqual(mediations(page), ['conditional', undefined, undefined]);
});

test('an autofill that fails by itself is told so, and not asked again', async () => {
  const page = browser().authenticator(() => Promise.reject(new DOMException('', 'NotAllowedError')));
  await assert.rejects(passkey.authenticate({ isConditionalMediation: true }), { code: 'passkey_cancelled' });
  assert.equal(page.prompts.length, 1);
});

test('a refusal of the passkey that autofill gave is told, whatever else goes on', async () => {
  const { page, autofill } = await waitingPage();
  page.authenticator(async () => credential);
  page.service(({ url }) =>
    url.endsWith('/start')
      ? json(200, { handshake: { id: 'h', challenge: { publicKey: { challenge: 'AAAA' } } } })
      : json(401, { code: 'discoverable_login_failed', error: 'No.' }),
  );
  await assert.rejects(passkey.authenticate(), { code: 'discoverable_login_failed' });
  await assert.rejects(autofill, { code: 'discoverable_login_failed' });
  assert.deepEqual(page.signals, [], 'nobody knows that the passkey is gone');
});

/** The state belongs to the page, so a test leaves none behind. */
async function end(page: FakeBrowser, autofill: Promise<string>): Promise<void> {
  page.authenticator(async () => credential);
  await Promise.all([
    passkey.authenticate({ isConditionalMediation: true }),
    assert.rejects(autofill, { code: 'ceremony_aborted' }),
  ]);
}
