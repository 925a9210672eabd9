import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import {
  PassageError,
  PassageFlex,
  type PassageFlexOptions,
  type RegisterOptions,
} from '@claviger/passage-flex';
import { bytes, FakeBrowser, json, prompted, remove, text } from './fake-browser.js';

const passage = () => new PassageFlex('app1', { baseUrl: 'https://service.test/v1/' });

const start = {
  handshake: {
    id: 'handshake1',
    challenge: {
      publicKey: {
        rp: { id: 'example.com', name: 'Example' },
        user: { id: 'dXNlcj8_', name: 'ann@example.com', displayName: 'ann@example.com' },
        challenge: 'Y2hhbGxlbmdl',
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        timeout: 300000,
        excludeCredentials: [{ type: 'public-key', id: 'b2xkPz8=', transports: ['internal'] }],
        authenticatorSelection: { residentKey: 'required', authenticatorAttachment: null },
        attestation: 'none',
        hints: ['client-device'],
      },
    },
  },
  transaction_id: 'transaction1',
};

const credential = {
  id: 'bmV3',
  rawId: bytes('new'),
  type: 'public-key',
  authenticatorAttachment: 'platform',
  getClientExtensionResults: () => ({ credProps: { rk: true } }),
  response: {
    attestationObject: bytes('attestation\xff'),
    clientDataJSON: bytes('{}'),
    getTransports: () => ['internal', 'hybrid'],
  },
};

function browserThatRegisters(): FakeBrowser {
  return new FakeBrowser()
    .service(({ url }) => json(200, url.endsWith('/start') ? start : { nonce: 'nonce1' }))
    .authenticator(async () => credential);
}

async function refused(ceremony: Promise<unknown>): Promise<PassageError> {
  const error = await ceremony.then(
    () => assert.fail('The ceremony should have been refused.'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PassageError, `not a PassageError: ${error}`);
  return error;
}

test('a registration starts, prompts, finishes and gives the nonce', async () => {
  const browser = browserThatRegisters();
  assert.equal(await passage().passkey.register('transaction1'), 'nonce1');

  assert.deepEqual(browser.paths(), [
    '/v1/apps/app1/register/transactions/webauthn/start',
    '/v1/apps/app1/register/transactions/webauthn/finish',
  ]);
  assert.deepEqual(
    browser.sent.map(({ body }) => body),
    [
      { transaction_id: 'transaction1', authenticator_attachment: 'platform' },
      {
        handshake_id: 'handshake1',
        transaction_id: 'transaction1',
        handshake_response: {
          id: 'bmV3',
          rawId: 'bmV3',
          type: 'public-key',
          response: {
            attestationObject: 'YXR0ZXN0YXRpb27_',
            clientDataJSON: 'e30',
            transports: ['internal', 'hybrid'],
          },
          authenticatorAttachment: 'platform',
          clientExtensionResults: { credProps: { rk: true } },
          transports: ['internal', 'hybrid'],
        },
      },
    ],
  );
});

test('the browser gets every option, with bytes where it wants bytes and without nulls', async () => {
  const browser = browserThatRegisters();
  await passage().passkey.register('transaction1');

  const { publicKey, signal } = browser.prompts[0];
  assert.ok(signal instanceof AbortSignal);
  assert.equal(text(publicKey.challenge), 'challenge');
  assert.equal(text(publicKey.user.id), 'user??');
  assert.equal(publicKey.user.name, 'ann@example.com');
  assert.equal(text(publicKey.excludeCredentials[0].id), 'old??');
  assert.deepEqual(publicKey.excludeCredentials[0].transports, ['internal']);
  assert.deepEqual(publicKey.authenticatorSelection, { residentKey: 'required' });
  assert.deepEqual(publicKey.hints, ['client-device']);
});

test('every request names the client and carries no cookie', async () => {
  const browser = browserThatRegisters();
  await passage().passkey.register('transaction1');
  for (const { headers, credentials, method } of browser.sent) {
    assert.equal(method, 'POST');
    assert.equal(credentials, 'omit');
    assert.equal(headers.get('Content-Type'), 'application/json');
    assert.equal(headers.get('Passage-Flex-Version'), await nameAndVersion());
  }
});

test('the caller chooses where the passkey may live', async () => {
  const browser = browserThatRegisters();
  await passage().passkey.register('transaction1', { authenticatorAttachment: 'any' });
  assert.equal(browser.sent[0]!.body['authenticator_attachment'], 'any');
});

test('options that are null are absent, as they were for Passage; other things are refused', async () => {
  const browser = browserThatRegisters();
  for (const options of [
    null,
    { authenticatorAttachment: null },
    { signal: null },
  ] as unknown as RegisterOptions[]) {
    assert.equal(await passage().passkey.register('transaction1', options), 'nonce1');
    assert.equal(browser.sent.at(-2)!.body['authenticator_attachment'], 'platform');
  }
  const { length } = browser.sent;
  for (const options of ['any', { signal: {} }] as unknown as RegisterOptions[]) {
    const error = await refused(passage().passkey.register('transaction1', options));
    assert.equal(error.code, 'invalid_argument');
  }
  assert.equal(browser.sent.length, length);
});

test('nothing is posted when the browser hands over half a credential', async () => {
  const half = { ...credential, getClientExtensionResults: undefined };
  const browser = browserThatRegisters().authenticator(async () => half);
  await assert.rejects(passage().passkey.register('transaction1'), ({ name, code, cause }: PassageError) => {
    assert.deepEqual([name, code, cause instanceof TypeError], ['PassageError', 'passkey_failed', true]);
    return true;
  });
  assert.equal(browser.sent.length, 1);
});

test('nothing is posted when the browser hands over no credential', async () => {
  const browser = browserThatRegisters().authenticator(async () => null);
  assert.equal((await refused(passage().passkey.register('transaction1'))).code, 'no_credential');
  assert.deepEqual(browser.paths(), ['/v1/apps/app1/register/transactions/webauthn/start']);
});

test("a browser's refusal has a stable code, a sentence and the original as cause", async (t) => {
  const codes = {
    NotAllowedError: 'passkey_cancelled',
    InvalidStateError: 'passkey_already_registered',
    NotSupportedError: 'passkeys_not_supported',
    ConstraintError: 'authenticator_not_suitable',
    SecurityError: 'origin_not_allowed',
    AbortError: 'ceremony_aborted',
    OperationError: 'ceremony_in_progress',
    UnknownError: 'passkey_failed',
  };
  for (const [name, code] of Object.entries(codes)) {
    await t.test(name, async () => {
      const original = new DOMException('words of the browser', name);
      browserThatRegisters().authenticator(() => Promise.reject(original));
      const error = await refused(passage().passkey.register('transaction1'));
      assert.equal(error.code, code);
      assert.equal(error.cause, original);
      assert.equal(error.statusCode, undefined);
      assert.match(error.message, /^[A-Z].*\.$/);
    });
  }
});

test("the service's refusal keeps its code, its words and its status", async () => {
  new FakeBrowser().service(() =>
    json(404, { code: 'transaction_not_found', error: 'The transaction is unknown or expired.' }),
  );
  const error = await refused(passage().passkey.register('transaction1'));
  assert.equal(error.code, 'transaction_not_found');
  assert.equal(error.message, 'The transaction is unknown or expired.');
  assert.equal(error.statusCode, 404);
});

test('a service that is asked too often says how long to wait', async () => {
  const answers = { 30: 30_000, 'Sun, 22 Nov 2026 12:00:00 GMT': undefined, '': undefined };
  for (const [header, retryAfterMs] of Object.entries(answers)) {
    new FakeBrowser().service(
      () =>
        new Response(JSON.stringify({ code: 'rate_limit_exceeded', error: 'Slow down.' }), {
          status: 429,
          headers: { 'Retry-After': header },
        }),
    );
    const error = await refused(passage().passkey.register('transaction1'));
    assert.equal(error.code, 'rate_limit_exceeded');
    assert.equal(error.retryAfterMs, retryAfterMs);
  }
});

test('a passkey in passing is announced to the service, and asked for as such', async () => {
  const browser = browserThatRegisters();
  assert.equal(await passage().passkey.register('transaction1', { isConditional: true }), 'nonce1');
  assert.equal(browser.sent[0]!.body['mediation'], 'conditional');
  assert.equal(browser.prompts[0].mediation, 'conditional');
  await passage().passkey.register('transaction1');
  assert.equal('mediation' in browser.sent[2]!.body, false);
  assert.equal('mediation' in browser.prompts[1], false);
});

test('a passkey in passing is refused where the browser makes none, before anything is sent', async () => {
  const browser = browserThatRegisters().features({ platform: true, conditional: false });
  const error = await refused(passage().passkey.register('transaction1', { isConditional: true }));
  assert.equal(error.code, 'passkeys_not_supported');
  assert.deepEqual(browser.sent, []);
});

test('a passkey in passing never closes a prompt, but a prompt ends it', async () => {
  const browser = browserThatRegisters();
  const waiting = prompted(browser);
  const modal = passage().passkey.register('transaction1');
  await waiting;
  const rude = await refused(passage().passkey.register('transaction1', { isConditional: true }));
  assert.equal(rude.code, 'ceremony_in_progress');
  assert.equal(browser.prompts[0].signal.aborted, false);

  const again = prompted(browser);
  const ended = assert.rejects(modal, { code: 'ceremony_aborted' });
  const next = passage().passkey.register('transaction1');
  await ended;
  await again;
  browser.authenticator(async () => credential);
  const last = passage().passkey.register('transaction1');
  await assert.rejects(next, { code: 'ceremony_aborted' });
  await last;

  const inPassing = prompted(browser);
  const quiet = passage().passkey.register('transaction1', { isConditional: true });
  await inPassing;
  browser.authenticator(async () => credential);
  const click = passage().passkey.register('transaction1');
  await assert.rejects(quiet, { code: 'ceremony_aborted' });
  assert.equal(await click, 'nonce1');
});

test('a passkey that the service refused is taken back, one whose fate is unknown is not', async (t) => {
  const finishes: [string, () => Response, boolean][] = [
    ['refused', () => json(401, { code: 'webauthn_login_failed', error: 'No.' }), true],
    ['too late', () => json(404, { code: 'transaction_not_found', error: 'No.' }), true],
    ['failed', () => json(500, { code: 'internal_server_error', error: 'Sorry.' }), false],
    ['elsewhere', () => json(404, { code: 'not_found', error: 'Nothing.' }), false],
    ['a proxy', () => new Response('', { status: 403 }), false],
    ['no nonce', () => json(200, {}), false],
    [
      'lost',
      () => {
        throw new TypeError('Failed to fetch');
      },
      false,
    ],
  ];
  for (const [name, finish, isTakenBack] of finishes) {
    await t.test(name, async () => {
      const browser = browserThatRegisters().service(({ url }) =>
        url.endsWith('/start') ? json(200, start) : finish(),
      );
      await refused(passage().passkey.register('transaction1'));
      await new Promise(setImmediate);
      const expected = [['signalUnknownCredential', { rpId: 'example.com', credentialId: 'bmV3' }]];
      assert.deepEqual(browser.signals, isTakenBack ? expected : []);
    });
  }
});

test('an answer that is not the contract is named as such and readable', async (t) => {
  const answers: [string, () => Response, string, number | undefined][] = [
    [
      'a proxy page',
      () => new Response('<h1>Bad gateway</h1>', { status: 502 }),
      'internal_server_error',
      502,
    ],
    [
      'another service that failed',
      () => json(503, { message: 'Service Unavailable' }),
      'internal_server_error',
      503,
    ],
    ['a code without words', () => json(404, { code: 'app_not_found' }), 'app_not_found', 404],
    ['a code that is none', () => json(400, { code: 1 }), 'invalid_response', 400],
    ['no such address', () => json(404, { code: 'not_found', error: 'Nothing.' }), 'invalid_response', 404],
    ['an empty code', () => json(400, { code: '' }), 'invalid_response', 400],
    ['a bare refusal', () => new Response('', { status: 403 }), 'invalid_response', 403],
    ['a page in place of JSON', () => new Response('<h1>Hello</h1>'), 'invalid_response', 200],
    ['an empty object', () => json(201, {}), 'invalid_response', 201],
    ['null', () => json(200, null), 'invalid_response', 200],
    ['a broken challenge', () => json(200, withChallenge('%%%')), 'invalid_response', 200],
  ];
  for (const [name, answer, code, statusCode] of answers) {
    await t.test(name, async () => {
      new FakeBrowser().service(answer);
      const error = await refused(passage().passkey.register('transaction1'));
      assert.equal(error.code, code);
      assert.equal(error.statusCode, statusCode);
      assert.match(error.message, /^The passkey service .*\.$/);
    });
  }
});

test('a base URL without its version is told as such', async () => {
  for (const body of [
    '{"code":"not_found","error":"There is nothing at this address."}',
    '<h1>Not found</h1>',
  ]) {
    const browser = new FakeBrowser().service(() => new Response(body, { status: 404 }));
    const elsewhere = new PassageFlex('app1', { baseUrl: 'https://service.test' });
    const error = await refused(elsewhere.passkey.register('transaction1'));
    assert.deepEqual([error.code, error.statusCode], ['invalid_response', 404]);
    assert.match(error.message, /baseUrl should end in \/v1\.$/);
    assert.equal(browser.sent.length, 1);
  }
});

test('a finish without a nonce is refused', async () => {
  browserThatRegisters().service(({ url }) => json(200, url.endsWith('/start') ? start : { nonce: '' }));
  const error = await refused(passage().passkey.register('transaction1'));
  assert.deepEqual([error.code, error.statusCode], ['invalid_response', 200]);
});

test('a start is sent again after a network error, a finish is not', async () => {
  const lost = new TypeError('Failed to fetch');
  const browser = browserThatRegisters();
  browser.service(({ url }) => {
    if (url.endsWith('/finish') || browser.sent.length === 1) throw lost;
    return json(200, start);
  });
  const error = await refused(passage().passkey.register('transaction1'));
  assert.equal(error.code, 'network_error');
  assert.equal(error.cause, lost);
  assert.deepEqual(
    browser.paths().map((path) => path.split('/').pop()),
    ['start', 'start', 'finish'],
  );
});

test('a service that does not answer ends in a timeout, and is not asked again', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const browser = new FakeBrowser().service(
    (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        t.mock.timers.tick(15_000);
      }),
  );
  assert.equal((await refused(passage().passkey.register('transaction1'))).code, 'timeout');
  assert.equal(browser.sent.length, 1);
});

test('without a transaction nothing is asked of anybody', async () => {
  const browser = browserThatRegisters();
  assert.equal((await refused(passage().passkey.register(''))).code, 'invalid_argument');
  assert.deepEqual([browser.sent, browser.prompts], [[], []]);
});

test('a browser without WebAuthn is told apart before anything is sent', async () => {
  const browser = browserThatRegisters();
  remove('PublicKeyCredential');
  assert.equal((await refused(passage().passkey.register('transaction1'))).code, 'passkeys_not_supported');
  assert.deepEqual(browser.sent, []);
});

test('an app id is needed, and a strange one cannot leave its place in the path', async () => {
  for (const appId of ['', '.', '..', '\ud800', undefined] as string[]) {
    assert.throws(() => new PassageFlex(appId), { name: 'PassageError', code: 'invalid_argument' });
  }
  const browser = browserThatRegisters();
  await new PassageFlex('../x?y', { baseUrl: 'https://service.test/v1' }).passkey.register('transaction1');
  assert.equal(browser.paths()[0], '/v1/apps/..%2Fx%3Fy/register/transactions/webauthn/start');
});

test('settings that are none are refused', () => {
  for (const options of [null, '/v1', { baseUrl: '' }, { baseUrl: 7 }] as unknown as PassageFlexOptions[]) {
    assert.throws(() => new PassageFlex('app1', options), { name: 'PassageError', code: 'invalid_argument' });
  }
});

test('a time limit that no timer can keep is refused, the longest one is not', async () => {
  const browser = browserThatRegisters();
  for (const timeoutMs of [0, -1, NaN, Infinity, 2 ** 31, null, '15000'] as number[]) {
    assert.throws(() => new PassageFlex('app1', { timeoutMs }), {
      name: 'PassageError',
      code: 'invalid_argument',
    });
  }
  const baseUrl = 'https://service.test/v1';
  const patient = new PassageFlex('app1', { baseUrl, timeoutMs: 2 ** 31 - 1 });
  assert.equal(await patient.passkey.register('transaction1'), 'nonce1');
  assert.equal(browser.sent.length, 2);
});

function withChallenge(challenge: string): object {
  return {
    handshake: { id: 'h', challenge: { publicKey: { ...start.handshake.challenge.publicKey, challenge } } },
  };
}

async function nameAndVersion(): Promise<string> {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  return `${manifest.name} ${manifest.version}`;
}
