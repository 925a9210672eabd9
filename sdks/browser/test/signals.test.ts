import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassageFlex } from '@claviger/passage-flex';
import { FakeBrowser, json, prompted, remove, waitsForever } from './fake-browser.js';

const { passkey } = new PassageFlex('app1', { baseUrl: 'https://service.test/v1', rpId: 'example.com' });

const started = {
  handshake: { id: 'h', challenge: { publicKey: { challenge: 'AAAA', rpId: 'example.com' } } },
};

test('a revoked passkey is named to the authenticator', async () => {
  const { signals } = new FakeBrowser();
  assert.equal(await passkey.signalRevoked({ credentialId: 'b2xkPz8' }), true);
  assert.deepEqual(signals, [['signalUnknownCredential', { rpId: 'example.com', credentialId: 'b2xkPz8' }]]);
});

test("the accepted passkeys go under the user's handle, in the form that the browser wants", async () => {
  const { signals } = new FakeBrowser();
  await passkey.signalAccepted({ userId: 'user', credentialIds: ['b2xkPz8=', 'b/8+'] });
  await passkey.signalAccepted({ userHandle: 'aGFuZGxl', credentialIds: [] });
  const name = 'signalAllAcceptedCredentials';
  assert.deepEqual(signals, [
    [name, { rpId: 'example.com', userId: 'dXNlcg', allAcceptedCredentialIds: ['b2xkPz8', 'b_8-'] }],
    [name, { rpId: 'example.com', userId: 'aGFuZGxl', allAcceptedCredentialIds: [] }],
  ]);
});

test('a new name reaches the authenticator', async () => {
  const { signals } = new FakeBrowser();
  await passkey.signalUserDetails({ userId: 'user', name: 'ann@example.com' });
  assert.deepEqual(signals, [
    [
      'signalCurrentUserDetails',
      { rpId: 'example.com', userId: 'dXNlcg', name: 'ann@example.com', displayName: 'ann@example.com' },
    ],
  ]);
});

test("without a setting the RP ID is the page's host", async () => {
  const { signals } = new FakeBrowser();
  await new PassageFlex('app1').passkey.signalRevoked({ credentialId: 'AAAA' });
  assert.equal(signals[0]![1].rpId, 'login.example.com');
});

test('a browser without signals is told apart from one that has them', async () => {
  new FakeBrowser();
  Object.assign(globalThis, { PublicKeyCredential: class {} });
  assert.equal(await passkey.signalRevoked({ credentialId: 'AAAA' }), false);
  assert.equal(await passkey.signalAccepted({ userId: 'user', credentialIds: [] }), false);
  remove('PublicKeyCredential');
  assert.equal(await passkey.signalUserDetails({ userId: 'user', name: 'Ann' }), false);
  remove('location');
  assert.equal(await new PassageFlex('app1').passkey.signalRevoked({ credentialId: 'AAAA' }), false);
});

test('what makes no sense is refused and never reaches the browser', async () => {
  const { signals } = new FakeBrowser();
  const unknown = undefined as unknown as string;
  for (const call of [
    () => passkey.signalRevoked(unknown as never),
    () => passkey.signalAccepted(null as never),
    () => passkey.signalUserDetails('Ann' as never),
    () => passkey.signalRevoked({ credentialId: '' }),
    () => passkey.signalRevoked({ credentialId: '%' }),
    () => passkey.signalAccepted({ userId: 'user', credentialIds: unknown as unknown as string[] }),
    () => passkey.signalAccepted({ userId: 'user', credentialIds: [unknown] }),
    () => passkey.signalAccepted({ credentialIds: [] }),
    () => passkey.signalUserDetails({ userId: '', name: 'Ann' }),
    () => passkey.signalUserDetails({ userId: 'user', name: unknown }),
  ]) {
    await assert.rejects(call, { name: 'PassageError', code: 'invalid_argument' });
  }
  assert.deepEqual(signals, []);
});

test("the browser's refusal of a signal has a code, and the next signal goes out", async () => {
  const browser = new FakeBrowser();
  const original = new DOMException('not yours', 'SecurityError');
  browser.taking(() => Promise.reject(original));
  await assert.rejects(passkey.signalRevoked({ credentialId: 'AAAA' }), {
    code: 'origin_not_allowed',
    cause: original,
  });
  browser.taking(async () => {});
  assert.equal(await passkey.signalRevoked({ credentialId: 'AAAA' }), true);
});

test('a signal finds the browser free: no other signal, no prompt, and autofill out of the way', async () => {
  const browser = new FakeBrowser().service(() => json(200, started));
  const page = new AbortController();
  let waiting = prompted(browser);
  const autofill = passkey.authenticate({ isConditionalMediation: true, signal: page.signal });
  await waiting;
  waiting = prompted(browser);
  const modal = passkey.authenticate({ signal: page.signal });
  await waiting;

  let atOnce = 0;
  browser.taking(async () => {
    atOnce += 1;
    assert.equal(atOnce, 1, 'two signals at once');
    assert.equal(browser.pending, 0, 'a request is pending');
    await new Promise(setImmediate);
    atOnce -= 1;
  });
  const signals = ['AAAA', 'BBBB'].map((credentialId) => passkey.signalRevoked({ credentialId }));
  await new Promise(setImmediate);
  assert.deepEqual(browser.signals, [], 'a prompt is open');

  const back = new Promise<void>((resolve) => {
    browser.authenticator(async (options) => {
      if (options.mediation !== 'conditional') throw new DOMException('', 'NotAllowedError');
      resolve();
      return waitsForever(options);
    });
  });
  const replacing = passkey.authenticate();
  await Promise.all([
    assert.rejects(modal, { code: 'ceremony_aborted' }),
    assert.rejects(replacing, { code: 'passkey_cancelled' }),
    ...signals,
  ]);
  assert.equal(browser.signals.length, 2);
  await back;
  page.abort();
  await assert.rejects(autofill, { code: 'ceremony_aborted' });
  assert.equal(browser.prompts.at(-1).mediation, 'conditional', 'autofill is back');
});
