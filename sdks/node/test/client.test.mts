import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  CeremonyType,
  type PassageConfig,
  PassageError,
  PassageErrorCode,
  PassageFlex,
  UserStatus,
  WebAuthnType,
} from '@claviger/passage-flex-node';
import { answering, json, silent, type Service } from './service.mjs';

const client = ({ baseUrl }: Pick<Service, 'baseUrl'>, timeoutMs?: number) =>
  new PassageFlex({ appId: 'app1', apiKey: 'prefix.secret', baseUrl, timeoutMs });

async function refused(call: Promise<unknown>): Promise<PassageError> {
  const error = await call.then(
    () => assert.fail('The call should have been refused.'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof PassageError, `not a PassageError: ${error}`);
  return error;
}

function unusable(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    assert.ok(error instanceof PassageError);
    assert.equal(error.errorCode, PassageErrorCode.InvalidArgument);
    return error.message;
  }
  return assert.fail('The settings should have been refused.');
}

test('a register transaction is created', async () => {
  const service = await answering(json(201, { transaction_id: 't1', more: true }));
  assert.equal(await client(service).auth.createRegisterTransaction('user-1', 'mia@example.com'), 't1');

  assert.deepEqual(service.targets(), ['POST /v1/apps/app1/transactions/register']);
  const [{ headers, body }] = service.sent as [(typeof service.sent)[0]];
  assert.deepEqual(JSON.parse(body), { external_id: 'user-1', passkey_display_name: 'mia@example.com' });
  assert.equal(headers.authorization, 'Bearer prefix.secret');
  assert.equal(headers['content-type'], 'application/json');
  assert.equal(headers['passage-version'], `claviger-flex-node ${await version()}`);
});

test('an authenticate transaction is created', async () => {
  const service = await answering(json(201, { transaction_id: 't2' }));
  assert.equal(await client(service).auth.createAuthenticateTransaction('user-1'), 't2');
  assert.deepEqual(service.targets(), ['POST /v1/apps/app1/transactions/authenticate']);
  assert.deepEqual(JSON.parse(service.sent[0]!.body), { external_id: 'user-1' });
});

test('a nonce is exchanged for the external id', async () => {
  const service = await answering(json(200, { external_id: 'user-1', type: 'authenticate' }));
  assert.equal(await client(service).auth.verifyNonce('n1'), 'user-1');
  assert.deepEqual(service.targets(), ['POST /v1/apps/app1/authenticate/verify']);
  assert.deepEqual(JSON.parse(service.sent[0]!.body), { nonce: 'n1' });
});

const PROOF = {
  external_id: 'user-1',
  type: 'authenticate',
  transaction_id: 't1',
  device_id: 'd1',
  user_verified: true,
  authenticated_at: '2026-01-03T00:00:00.123456Z',
};

test('a nonce tells all that it proves', async () => {
  const service = await answering(json(200, PROOF));
  assert.deepEqual(await client(service).auth.verifyNonceDetails('n1'), {
    externalId: 'user-1',
    type: CeremonyType.Authenticate,
    transactionId: 't1',
    deviceId: 'd1',
    userVerified: true,
    authenticatedAt: new Date('2026-01-03T00:00:00.123Z'),
  });
  assert.deepEqual(service.targets(), ['POST /v1/apps/app1/authenticate/verify']);
  assert.deepEqual(JSON.parse(service.sent[0]!.body), { nonce: 'n1' });
  await assert.rejects(client(service).auth.verifyNonceDetails(''), { errorCode: 'invalid_argument' });
});

test('a ceremony that had no transaction says so', async () => {
  const service = await answering(json(200, { ...PROOF, transaction_id: null }));
  assert.equal((await client(service).auth.verifyNonceDetails('n1')).transactionId, null);
});

test('a proof that lacks a fact proves nothing', async () => {
  const lacking = [
    { external_id: 'user-1' },
    { ...PROOF, user_verified: undefined },
    { ...PROOF, user_verified: 'true' },
    { ...PROOF, transaction_id: '' },
    { ...PROOF, device_id: '' },
    { ...PROOF, authenticated_at: 'today' },
  ];
  for (const body of lacking) {
    const service = await answering(json(200, body));
    await assert.rejects(client(service).auth.verifyNonceDetails('n1'), { errorCode: 'invalid_response' });
  }
});

const LIST = 'GET /users?page=1&limit=1&identifier=user-1';
const PAGE = json(200, { users: [{ id: 'u1', external_id: 'user-1', status: 'active' }], total_users: 1 });
const DEVICE = {
  id: 'd1',
  cred_id: 'Y3JlZA',
  friendly_name: 'iCloud Keychain',
  type: 'passkey',
  usage_count: 2,
  icons: { light: 'data:image/svg+xml;base64,PHN2Zy8+', dark: null },
  created_at: '2026-01-01T00:00:00.000000Z',
  updated_at: '2026-01-02T00:00:00.000000Z',
  last_login_at: '2026-01-03T00:00:00.123456Z',
  new: 'member',
};
const USER = {
  id: 'u1',
  external_id: 'user-1',
  status: 'active',
  login_count: 3,
  user_metadata: null,
  email: '',
  created_at: '2026-01-01T00:00:00.000000Z',
  updated_at: '2026-01-02T00:00:00.000000Z',
  last_login_at: '2026-01-03T00:00:00.123456Z',
  recent_events: [],
  webauthn: true,
  webauthn_devices: [DEVICE],
  webauthn_types: ['passkey'],
};
const READ_DEVICE = {
  createdAt: new Date('2026-01-01T00:00:00Z'),
  credId: 'Y3JlZA',
  friendlyName: 'iCloud Keychain',
  icons: { light: 'data:image/svg+xml;base64,PHN2Zy8+', dark: null },
  id: 'd1',
  lastLoginAt: new Date('2026-01-03T00:00:00.123Z'),
  type: WebAuthnType.Passkey,
  updatedAt: new Date('2026-01-02T00:00:00Z'),
  usageCount: 2,
};

test('a user is found by external id, in two calls', async () => {
  const service = await answering({ [LIST]: PAGE, 'GET /users/u1': json(200, { user: USER }) });
  assert.deepEqual(await client(service).user.get('user-1'), {
    createdAt: new Date('2026-01-01T00:00:00Z'),
    externalId: 'user-1',
    id: 'u1',
    lastLoginAt: new Date('2026-01-03T00:00:00.123Z'),
    loginCount: 3,
    status: UserStatus.Active,
    updatedAt: new Date('2026-01-02T00:00:00Z'),
    userMetadata: null,
    webauthn: true,
    webauthnDevices: [READ_DEVICE],
    webauthnTypes: ['passkey'],
  });
  assert.equal(service.sent.length, 2);
  assert.equal(service.sent[0]!.headers.authorization, 'Bearer prefix.secret');
  assert.equal(service.sent[0]!.headers['content-type'], undefined);
});

test('devices are listed in two calls', async () => {
  const devices = json(200, { devices: [DEVICE] });
  const service = await answering({ [LIST]: PAGE, 'GET /users/u1/devices': devices });
  assert.deepEqual(await client(service).user.listDevices('user-1'), [READ_DEVICE]);
  assert.equal(service.sent.length, 2);
});

test('a device is revoked in two calls, and an empty body is all that is said', async () => {
  const gone = { status: 200, body: '' };
  const service = await answering({ [LIST]: PAGE, 'DELETE /users/u1/devices/dev%2F1': gone });
  assert.equal(await client(service).user.revokeDevice('user-1', 'dev/1'), undefined);
  assert.equal(service.sent.length, 2);
});

test('a value that is newer than this package is kept as it is', async () => {
  const user = {
    ...USER,
    status: 'suspended',
    webauthn_types: ['ring'],
    webauthn_devices: [{ ...DEVICE, type: 'ring' }],
  };
  const service = await answering({ [LIST]: PAGE, 'GET /users/u1': json(200, { user }) });
  const read = await client(service).user.get('user-1');
  assert.deepEqual(
    [read.status, read.webauthnTypes, read.webauthnDevices[0]?.type],
    ['suspended', ['ring'], 'ring'],
  );
});

test('an external id is sent as it is', async () => {
  const service = await answering(json(200, { users: [] }));
  for (const externalId of ['a b&limit=9', '<like:a%>', 'ü+/=#?']) {
    const error = await refused(client(service).user.get(externalId));
    assert.deepEqual([error.statusCode, error.errorCode], [404, 'user_not_found']);
  }
  assert.deepEqual(service.targets(), [
    'GET /v1/apps/app1/users?page=1&limit=1&identifier=a+b%26limit%3D9',
    'GET /v1/apps/app1/users?page=1&limit=1&identifier=%3Clike%3Aa%25%3E',
    'GET /v1/apps/app1/users?page=1&limit=1&identifier=%C3%BC%2B%2F%3D%23%3F',
  ]);
});

test("somebody else's row is never taken for the user", async () => {
  const service = await answering(json(200, { users: [{ id: 'u2', external_id: 'USER-1' }] }));
  const { user } = client(service);
  for (const call of [user.get('user-1'), user.listDevices('user-1'), user.revokeDevice('user-1', 'd1')]) {
    assert.equal((await refused(call)).errorCode, PassageErrorCode.InvalidResponse);
  }
  assert.equal(service.sent.length, 3, 'nothing is read or revoked');

  const other = json(200, { users: [{ id: 'u2', external_id: 'user-1' }] });
  const mixed = await answering({ [LIST]: other, 'GET /users/u2': json(200, { user: USER }) });
  assert.equal((await refused(client(mixed).user.get('user-1'))).errorCode, PassageErrorCode.InvalidResponse);
});

test('a device id that would delete something else is refused', async () => {
  const service = await answering(PAGE);
  for (const deviceId of ['', '.', '..', '\ud800']) {
    const error = await refused(client(service).user.revokeDevice('user-1', deviceId));
    assert.equal(error.errorCode, PassageErrorCode.InvalidArgument);
  }
  assert.deepEqual(service.sent, []);
});

test('an argument that is empty or no text is refused before anything is sent', async () => {
  const service = await answering(PAGE);
  const { auth, user } = client(service);
  const refusals: [Promise<unknown>, string][] = [
    [auth.createRegisterTransaction('', 'name'), 'externalId is required'],
    [auth.createRegisterTransaction('user-1', ''), 'passkeyDisplayName is required'],
    [auth.createAuthenticateTransaction(undefined as unknown as string), 'externalId must be a string'],
    [auth.verifyNonce({ nonce: 'n1' } as unknown as string), 'nonce must be a string'],
    [user.get(''), 'externalId is required'],
    [user.listDevices(''), 'externalId is required'],
    [user.revokeDevice('user-1', ''), 'deviceId is required'],
  ];
  for (const [call, message] of refusals) {
    const error = await refused(call);
    assert.deepEqual(
      [error.errorCode, error.statusCode, error.message],
      ['invalid_argument', undefined, message],
    );
  }
  assert.deepEqual(service.sent, []);
});

test('settings that cannot work are refused', () => {
  const config = { appId: 'app1', apiKey: 'prefix.secret' };
  assert.equal(
    unusable(() => new PassageFlex({ ...config, appId: '' })),
    'appId is required',
  );
  for (const none of [undefined, null, 'app1'] as unknown as PassageConfig[]) {
    assert.equal(
      unusable(() => new PassageFlex(none)),
      'appId and apiKey are required',
    );
  }
  assert.equal(
    unusable(() => new PassageFlex({ ...config, appId: '\ud800' })),
    'appId is not well-formed text',
  );
  assert.equal(
    unusable(() => new PassageFlex({ ...config, appId: '..' })),
    'appId cannot be ".."',
  );
  assert.equal(
    unusable(() => new PassageFlex({ ...config, apiKey: '' })),
    'apiKey is required',
  );
  for (const baseUrl of [
    '',
    'localhost:8082/v1',
    '/v1',
    'file:///v1',
    'https://u:p@example.com/v1',
    'https://a.test/?x',
  ]) {
    assert.match(
      unusable(() => new PassageFlex({ ...config, baseUrl })),
      /^baseUrl must be/,
      baseUrl,
    );
  }
  for (const timeoutMs of [0, -1, NaN, Infinity, 2 ** 31, null, '10000'] as number[]) {
    assert.match(
      unusable(() => new PassageFlex({ ...config, timeoutMs })),
      /^timeoutMs must be/,
    );
  }
});

test('the API key is in no refusal and in no printout', async () => {
  const shown = (value: unknown) =>
    inspect(value, { showHidden: true, depth: Infinity }) + JSON.stringify(value);
  const passage = client({ baseUrl: 'http://127.0.0.1:1/v1' });
  for (const value of [passage, passage.auth, passage.user, await refused(passage.auth.verifyNonce('n1'))]) {
    assert.doesNotMatch(shown(value), /prefix|secret/);
  }
  const message = unusable(() => new PassageFlex({ appId: 'app1', apiKey: 'prefix.secret\n' }));
  assert.equal(message, 'apiKey has a character no key can have');
});

test('a refusal is told by status, code and sentence, and nothing is sent twice', async () => {
  const service = await answering(json(401, { code: 'invalid_nonce', error: 'No.' }));
  const error = await refused(client(service).auth.verifyNonce('n1'));
  assert.deepEqual(
    [error.statusCode, error.errorCode, error.message],
    [401, PassageErrorCode.InvalidNonce, 'No.'],
  );
  assert.equal(error.name, 'PassageError');
  assert.equal(service.sent.length, 1);
});

test('a code that is newer than this package is passed through', async () => {
  const service = await answering(json(403, { code: 'user_on_holiday', error: 'Later.' }));
  const error = await refused(client(service).auth.createAuthenticateTransaction('user-1'));
  assert.deepEqual([error.statusCode, error.errorCode, error.message], [403, 'user_on_holiday', 'Later.']);
});

test('a rate limit carries the wait when it is told', async () => {
  const body = JSON.stringify({ code: 'rate_limit_exceeded', error: 'Slow down.' });
  for (const [wait, expected] of [
    ['30', 30_000],
    ['soon', undefined],
  ] as const) {
    const service = await answering({ status: 429, body, headers: { 'Retry-After': wait } });
    const error = await refused(client(service).auth.createAuthenticateTransaction('user-1'));
    assert.deepEqual([error.errorCode, error.retryAfterMs], [PassageErrorCode.RateLimitExceeded, expected]);
    assert.equal(service.sent.length, 1);
  }
});

test('a base URL without its version is told as such', async () => {
  const nothing = json(404, { code: 'not_found', error: 'There is nothing at this address.' });
  const service = await answering(nothing);
  const error = await refused(client({ baseUrl: new URL(service.baseUrl).origin }).user.get('user-1'));
  assert.deepEqual([error.errorCode, error.statusCode], [PassageErrorCode.InvalidResponse, 404]);
  assert.equal(
    error.message,
    'Unexpected answer with HTTP status 404: is baseUrl right, and does it end in /v1?',
  );
});

test('a service in trouble is told as such, whoever answers in its place', async () => {
  for (const reply of [
    { status: 500, body: '' },
    { status: 502, body: '<html>Bad gateway</html>' },
    { status: 503, body: '{"message":"Service Unavailable"}' },
    { status: 504, body: '[]' },
  ]) {
    const error = await refused(client(await answering(reply)).auth.verifyNonce('n1'));
    assert.deepEqual(
      [error.errorCode, error.statusCode, error.message],
      [
        PassageErrorCode.InternalServerError,
        reply.status,
        `The passkey service answered HTTP status ${reply.status}.`,
      ],
    );
  }
});

test('a code without a sentence is still the code', async () => {
  for (const error of [undefined, '', 7, null]) {
    const service = await answering(json(409, { code: 'user_has_no_passkeys', error }));
    const told = await refused(client(service).auth.createAuthenticateTransaction('user-1'));
    assert.deepEqual([told.errorCode, told.statusCode], [PassageErrorCode.UserHasNoPasskeys, 409]);
    assert.equal(told.message, 'The passkey service answered HTTP status 409.');
  }
});

test("an answer that is not the service's is told apart", async () => {
  for (const reply of [
    { status: 403, body: '' },
    { status: 404, body: '' },
    { status: 400, body: '{"code":1,"error":"x"}' },
    { status: 400, body: '{"code":"","error":"x"}' },
    { status: 200, body: '<html>Welcome</html>' },
    { status: 200, body: 'null' },
    { status: 200, body: '{"external_id":7}' },
    { status: 200, body: '{"external_id":""}' },
    { status: 204, body: '' },
  ]) {
    const error = await refused(client(await answering(reply)).auth.verifyNonce('n1'));
    assert.deepEqual(
      [error.errorCode, error.statusCode],
      [PassageErrorCode.InvalidResponse, reply.status],
      reply.body,
    );
  }
});

test('a user that is not of the promised shape is no user', async () => {
  for (const change of [
    { created_at: 'yesterday' },
    { login_count: '3' },
    { webauthn: null },
    { webauthn_types: ['passkey', 1] },
    { webauthn_devices: [null] },
    { webauthn_devices: [{ ...DEVICE, icons: undefined }] },
    { webauthn_devices: [{ ...DEVICE, icons: { light: 1 } }] },
    { user_metadata: 'text' },
    { status: undefined },
  ]) {
    const user = json(200, { user: { ...USER, ...change } });
    const service = await answering({ [LIST]: PAGE, 'GET /users/u1': user });
    const error = await refused(client(service).user.get('user-1'));
    assert.equal(error.errorCode, PassageErrorCode.InvalidResponse, JSON.stringify(change));
  }
});

test('a redirect is not followed', async () => {
  const elsewhere = await answering(json(200, { external_id: 'user-1' }));
  const service = await answering({ status: 307, body: '', headers: { Location: elsewhere.baseUrl } });
  const error = await refused(client(service).auth.verifyNonce('n1'));
  assert.deepEqual([error.errorCode, error.statusCode], [PassageErrorCode.InvalidResponse, 307]);
  assert.deepEqual(elsewhere.sent, [], 'the request stays here');
});

test('a silent service is given up, also in the middle of its answer', async () => {
  for (const begins of [false, true]) {
    const service = await silent({ begins });
    const error = await refused(client(service, 50).auth.verifyNonce('n1'));
    assert.deepEqual([error.errorCode, error.statusCode], [PassageErrorCode.Timeout, undefined]);
    assert.equal(service.sent.length, 1, 'a nonce is not sent twice');
  }
});

test('a service that is not there, or hangs up, is a network error with its cause', async () => {
  const listener = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  const passage = client({ baseUrl: `http://127.0.0.1:${port}/v1` });
  const hungUp = await refused(passage.auth.verifyNonce('n1'));
  await new Promise((resolve) => listener.close(resolve));
  const absent = await refused(passage.auth.verifyNonce('n1'));
  for (const error of [hungUp, absent]) {
    assert.deepEqual([error.errorCode, error.statusCode], [PassageErrorCode.NetworkError, undefined]);
    assert.ok(error.cause instanceof Error);
  }
});

test('a base URL may end in slashes or blanks', async () => {
  const { baseUrl, targets } = await answering(json(201, { transaction_id: 't1' }));
  await client({ baseUrl: `${baseUrl}// ` }).auth.createAuthenticateTransaction('user-1');
  assert.deepEqual(targets(), ['POST /v1/apps/app1/transactions/authenticate']);
});

async function version(): Promise<string> {
  return JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
