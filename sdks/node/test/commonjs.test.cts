// The package by `require`. What it does is in client.test.mts; here is that both ways lead to the same thing.

import assert = require('node:assert/strict');
import nodeTest = require('node:test');
import flex = require('@claviger/passage-flex-node');

const { test } = nodeTest;

test('the package can be required, and is then the one that is imported', async () => {
  const imported = await import('@claviger/passage-flex-node');
  const names = [
    'CeremonyType',
    'PassageError',
    'PassageErrorCode',
    'PassageFlex',
    'UserStatus',
    'WebAuthnType',
  ] as const;
  assert.deepEqual(Object.keys(flex).sort(), [...names]);
  assert.deepEqual(Object.keys(imported).sort(), [...names]);
  for (const name of names) assert.equal(flex[name], imported[name], name);
});

test('a required package speaks to the service', async () => {
  const { answering, json } = await import('./service.mjs');
  const service = await answering({
    'POST /transactions/register': json(201, { transaction_id: 't1' }),
    'POST /authenticate/verify': json(401, { code: 'invalid_nonce', error: 'No.' }),
  });
  const config: flex.PassageConfig = { appId: 'app1', apiKey: 'prefix.secret', baseUrl: service.baseUrl };
  const { auth } = new flex.PassageFlex(config);
  assert.equal(await auth.createRegisterTransaction('user-1', 'mia@example.com'), 't1');
  await assert.rejects(auth.verifyNonce('n1'), (error) => {
    assert.ok(error instanceof flex.PassageError);
    assert.equal(error.errorCode, flex.PassageErrorCode.InvalidNonce);
    return true;
  });
});
