import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassageFlex, type AuthenticateOptions, type PassageError } from '@claviger/passage-flex';
import { bytes, FakeBrowser, json, prompted, text } from './fake-browser.js';

const passage = () => new PassageFlex('app1', { baseUrl: 'https://service.test/v1' });

const publicKey = {
  challenge: 'Y2hhbGxlbmdl',
  rpId: 'example.com',
  allowCredentials: [{ type: 'public-key', id: 'bXluZQ', transports: ['internal'] }],
  userVerification: 'preferred',
  timeout: 300000,
};

const credential = {
  id: 'bXluZQ',
  rawId: bytes('myne'),
  type: 'public-key',
  authenticatorAttachment: null,
  getClientExtensionResults: () => ({}),
  response: {
    authenticatorData: bytes('data'),
    clientDataJSON: bytes('{}'),
    signature: bytes('signature'),
    userHandle: bytes('user'),
  },
};

function browserThatAuthenticates(): FakeBrowser {
  return new FakeBrowser()
    .service(({ url }) =>
      url.endsWith('/start')
        ? json(200, { handshake: { id: 'handshake1', challenge: { publicKey } }, transaction_id: null })
        : json(200, { nonce: 'nonce1' }),
    )
    .authenticator(async () => credential);
}

test('an authentication starts, prompts, finishes and gives the nonce', async () => {
  const browser = browserThatAuthenticates();
  assert.equal(await passage().passkey.authenticate({ transactionId: 'transaction1' }), 'nonce1');

  assert.deepEqual(browser.paths(), [
    '/v1/apps/app1/authenticate/transactions/webauthn/start',
    '/v1/apps/app1/authenticate/transactions/webauthn/finish',
  ]);
  assert.deepEqual(
    browser.sent.map(({ body }) => body),
    [
      { transaction_id: 'transaction1' },
      {
        handshake_id: 'handshake1',
        transaction_id: 'transaction1',
        handshake_response: {
          id: 'bXluZQ',
          rawId: 'bXluZQ',
          type: 'public-key',
          response: {
            authenticatorData: 'ZGF0YQ',
            clientDataJSON: 'e30',
            signature: 'c2lnbmF0dXJl',
            userHandle: 'dXNlcg',
          },
          clientExtensionResults: {},
        },
      },
    ],
  );
  const prompt = browser.prompts[0];
  assert.equal(text(prompt.publicKey.challenge), 'challenge');
  assert.equal(text(prompt.publicKey.allowCredentials[0].id), 'myne');
  assert.equal(prompt.publicKey.rpId, 'example.com');
  assert.equal('mediation' in prompt, false);
});

test('an absent user handle is left out, not sent as empty text', async () => {
  const response = { ...credential.response, userHandle: null };
  const browser = browserThatAuthenticates().authenticator(async () => ({ ...credential, response }));
  await passage().passkey.authenticate({ transactionId: 'transaction1' });
  assert.equal('userHandle' in browser.sent[1]!.body['handshake_response'].response, false);
});

test('without a transaction the user is found by the passkey', async () => {
  const browser = browserThatAuthenticates();
  assert.equal(await passage().passkey.authenticate(), 'nonce1');
  assert.deepEqual(browser.sent[0]!.body, {});
  assert.equal('transaction_id' in browser.sent[1]!.body, false);
});

test('an empty transaction id is refused, never taken for absent', async () => {
  const browser = browserThatAuthenticates();
  for (const transactionId of ['', null, 7]) {
    const options = { transactionId } as AuthenticateOptions;
    await assert.rejects(passage().passkey.authenticate(options), { code: 'invalid_argument' });
  }
  assert.deepEqual(browser.sent, []);
});

test('what is no options is refused, never taken for a sign-in by anybody', async () => {
  const browser = browserThatAuthenticates();
  const signal = { signal: 'stop' };
  for (const options of [null, '', 'transaction1', 7, signal] as unknown as AuthenticateOptions[]) {
    const refusal = { name: 'PassageError', code: 'invalid_argument' };
    await assert.rejects(passage().passkey.authenticate(options), refusal);
  }
  assert.deepEqual(browser.sent, []);
});

test('autofill asks for conditional mediation and uses no transaction', async () => {
  const browser = browserThatAuthenticates();
  await passage().passkey.authenticate({ isConditionalMediation: true, transactionId: 'transaction1' });
  assert.equal(browser.prompts[0].mediation, 'conditional');
  assert.deepEqual(browser.sent[0]!.body, {});
});

test('autofill is refused where the browser has none', async () => {
  const browser = browserThatAuthenticates().features({ platform: true, conditional: false });
  await assert.rejects(passage().passkey.authenticate({ isConditionalMediation: true }), {
    code: 'passkeys_not_supported',
  });
  assert.deepEqual(browser.sent, []);
});

test('nothing is posted when the browser hands over half a credential', async () => {
  const half = { ...credential, getClientExtensionResults: undefined };
  const browser = browserThatAuthenticates().authenticator(async () => half);
  await assert.rejects(passage().passkey.authenticate(), ({ name, code, cause }: PassageError) => {
    assert.deepEqual([name, code, cause instanceof TypeError], ['PassageError', 'passkey_failed', true]);
    return true;
  });
  assert.equal(browser.sent.length, 1);
});

test('nothing is posted when the browser hands over no credential', async () => {
  const browser = browserThatAuthenticates().authenticator(async () => null);
  await assert.rejects(passage().passkey.authenticate(), { code: 'no_credential' });
  assert.equal(browser.sent.length, 1);
});

test('options that the browser could not read are told with the status of the answer', async () => {
  const browser = browserThatAuthenticates().service(() =>
    json(200, {
      handshake: { id: 'handshake1', challenge: { publicKey: { ...publicKey, challenge: '%%%' } } },
    }),
  );
  const refusal = { code: 'invalid_response', statusCode: 200 };
  await assert.rejects(passage().passkey.authenticate(), refusal);
  assert.deepEqual(browser.prompts, []);
});

test('a cancelled prompt can be tried again', async () => {
  const browser = browserThatAuthenticates().authenticator(() =>
    Promise.reject(new DOMException('', 'NotAllowedError')),
  );
  await assert.rejects(passage().passkey.authenticate(), { code: 'passkey_cancelled' });
  browser.authenticator(async () => credential);
  assert.equal(await passage().passkey.authenticate(), 'nonce1');
});

test('a modal request ends an earlier one that is still waiting', async () => {
  const browser = browserThatAuthenticates();
  const waiting = prompted(browser);
  const first = passage().passkey.authenticate();
  await waiting;
  browser.authenticator(async () => credential);
  const second = passage().passkey.authenticate();
  await assert.rejects(first, { code: 'ceremony_aborted' });
  assert.equal(await second, 'nonce1');
});

test('a request interrupted before its prompt never prompts', async () => {
  const browser = browserThatAuthenticates();
  const first = passage().passkey.authenticate();
  const second = passage().passkey.authenticate();
  await assert.rejects(first, { code: 'ceremony_aborted' });
  assert.equal(await second, 'nonce1');
  assert.equal(browser.prompts.length, 1);
});

test('the page ends a request with its signal, at any time before the answer', async () => {
  const browser = browserThatAuthenticates();
  const waiting = prompted(browser);
  const page = new AbortController();
  const modal = passage().passkey.authenticate({ signal: page.signal });
  await waiting;
  page.abort(new Error('left the page'));
  await assert.rejects(modal, ({ code, cause }: PassageError) => {
    assert.equal(code, 'ceremony_aborted');
    assert.equal((cause as Error).message, 'left the page');
    return true;
  });
  assert.equal(browser.prompts[0].signal.aborted, true);

  // One that was used is used, and ends nobody else's request.
  const open = prompted(browser);
  const another = passage().passkey.authenticate();
  await open;
  const { length } = browser.sent;
  for (const isConditionalMediation of [false, true]) {
    const late = passage().passkey.authenticate({ isConditionalMediation, signal: page.signal });
    await assert.rejects(late, { code: 'ceremony_aborted' });
  }
  assert.equal(browser.sent.length, length);
  assert.equal(browser.prompts[1].signal.aborted, false);

  browser.authenticator(async () => credential);
  const last = passage().passkey.authenticate({ signal: new AbortController().signal });
  await assert.rejects(another, { code: 'ceremony_aborted' });
  assert.equal(await last, 'nonce1');
});

test('once the authenticator has answered, the page cannot stop the nonce', async () => {
  const page = new AbortController();
  const browser = browserThatAuthenticates().authenticator(async () => {
    queueMicrotask(() => setTimeout(() => page.abort()));
    return credential;
  });
  browser.service(async ({ url }) => {
    if (url.endsWith('/start'))
      return json(200, { handshake: { id: 'handshake1', challenge: { publicKey } } });
    await new Promise((resolve) => setTimeout(resolve, 5));
    return json(200, { nonce: 'nonce1' });
  });
  assert.equal(await passage().passkey.authenticate({ signal: page.signal }), 'nonce1');
  assert.equal(page.signal.aborted, true);
});
