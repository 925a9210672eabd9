import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassageFlex } from '@claviger/passage-flex';
import { FakeBrowser, remove } from './fake-browser.js';

async function answers(): Promise<Record<string, boolean>> {
  const { passkey } = new PassageFlex('app1');
  return {
    register: await passkey.canRegisterPasskey(),
    authenticate: await passkey.canAuthenticateWithPasskey(),
    autofill: await passkey.canUseConditionalMediation(),
    inPassing: await passkey.canUseConditionalCreate(),
  };
}

test('a browser is believed about what it can do', async () => {
  const browser = new FakeBrowser();
  assert.deepEqual(await answers(), { register: true, authenticate: true, autofill: true, inPassing: true });
  browser.features({ platform: false, conditional: false });
  assert.deepEqual(await answers(), {
    register: false,
    authenticate: true,
    autofill: false,
    inPassing: false,
  });
});

test('a browser without WebAuthn can do nothing', async () => {
  new FakeBrowser();
  remove('PublicKeyCredential');
  assert.deepEqual(await answers(), {
    register: false,
    authenticate: false,
    autofill: false,
    inPassing: false,
  });
});

test('an older browser that lacks a question has the answer no', async () => {
  new FakeBrowser();
  Object.assign(globalThis, { PublicKeyCredential: class {} });
  assert.deepEqual(await answers(), {
    register: false,
    authenticate: true,
    autofill: false,
    inPassing: false,
  });
});
