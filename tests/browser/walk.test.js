// The guide, walked in a real Chromium with a virtual authenticator against the real system: nothing is faked but
// the finger on the reader. Each test is a person of its own; all share one running demo.
//
// Run it with `npm run walk --workspace tests/browser`. CHROMIUM names the browser when it is not on the PATH;
// CLAVIGER_SCREENSHOTS names a folder for pictures of every state.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './chromium.js';
import { Demo } from './demo.js';
import { Person } from './person.js';

let demo;
let browser;

before(async () => {
  browser = await launchChromium();
  demo = await Demo.prepare();
  await demo.start();
});

after(async () => {
  await browser?.close();
  await demo?.discard();
});

/** What the first person leaves behind for the last test. */
let ann;

walk('from a password to a passkey, as the same user', 'ann', async (person) => {
  await person.sees('Sign up');
  await person.picture('sign-up');
  await person.signUp();
  await person.picture('signed-up');
  await person.signInWithPassword();
  await person.picture('account');
  const withPassword = await person.claims();
  assert.match(withPassword.sub, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.match(withPassword.iss.replace(demo.issuerBase, ''), /^us-east-1_[0-9A-Za-z]{9}$/);
  assert.equal(withPassword.scope, 'aws.cognito.signin.user.admin');
  assert.equal(withPassword.token_use, 'access');
  assert.deepEqual(await person.stepsDone(), ['Sign up', 'Sign in']);

  await person.addPasskey();
  await person.picture('passkey-added');
  await person.signOut();
  await person.picture('signed-out');
  await person.signInWithPasskey();
  await person.picture('account-by-passkey');
  const withPasskey = await person.claims();
  for (const name of ['sub', 'iss', 'scope', 'client_id', 'username', 'token_use']) {
    assert.equal(withPasskey[name], withPassword[name], name);
  }
  assert.notEqual(withPasskey.jti, withPassword.jti);
  assert.equal(await person.page.getByText('same as with your password').count(), 3);
  assert.deepEqual(await person.stepsDone(), ['Sign up', 'Sign in', 'Add a passkey', 'Sign in again']);
  ann = { passkeys: await person.takePasskeys(), sub: withPasskey.sub };
});

walk('an email signs up once, with a password the pool accepts', 'beth', async (person) => {
  await person.enterEmail('beth@');
  await person.enterPassword('Correct');
  await person.press('Sign up');
  assert.ok(
    await isFocused(person.page.getByLabel('Email', { exact: true })),
    'the first wrong field has the focus',
  );
  await person.page.getByText('Enter a full email address, such as ann@example.com.').waitFor();
  await person.page.getByText('The password still needs 8 characters, a number, and a symbol.').waitFor();
  await person.picture('sign-up-incomplete');
  await person.signUp();

  await person.follow('Sign up');
  await person.enterEmail('BETH@example.com');
  await person.enterPassword();
  await person.press('Sign up');
  assert.equal(await person.refusal(), 'There is already an account with this email. Sign in instead.');
  await person.picture('sign-up-taken');

  await person.follow('Sign in');
  await person.signInWithPassword();
});

walk('a wrong password is refused, then the right one works', 'carl', async (person) => {
  await person.signUp();
  await person.enterPassword('Wrong-Horse7');
  await person.press('Sign in');
  assert.equal(await person.refusal(), 'The email or the password is not right.');
  await person.picture('wrong-password');
  await person.signInWithPassword();
});

walk('an unknown user is refused either way, then can sign up', 'dora', async (person) => {
  await person.follow('Sign in');
  await person.sees('Sign in');
  await person.picture('sign-in');
  await person.enterEmail();
  await person.enterPassword();
  await person.press('Sign in');
  assert.equal(await person.refusal(), 'There is no account with this email. Check it, or sign up.');
  await person.picture('unknown-user');
  await person.press('Try signing in with a passkey');
  assert.equal(await person.refusal(), 'There is no account with this email. Check it, or sign up.');

  await person.follow('Sign up');
  await person.signUp();
  await person.signInWithPassword();
});

walk('a cancelled ceremony leaves everything as it was', 'emil', async (person) => {
  await person.signUp();
  await person.signInWithPassword();
  await person.setRecognized(false);
  await person.press('Add a passkey');
  assert.equal(
    await person.refusal(),
    'No passkey was added: the request was cancelled or timed out. You can try again.',
  );
  await person.picture('adding-cancelled');
  assert.deepEqual(await person.takePasskeys(), []);
  await person.setRecognized(true);
  await person.addPasskey();

  await person.signOut();
  await person.setRecognized(false);
  await person.press('Try signing in with a passkey');
  const cancelled =
    'The passkey request was cancelled or timed out. Try again, or sign in with your password.';
  assert.equal(await person.refusal(), cancelled);
  await person.picture('signing-in-cancelled');

  // Browsers do not tell a cancelled request from a device that holds no such passkey.
  const passkeys = await person.takePasskeys();
  await person.detachDevice();
  await person.attachDevice();
  await person.press('Try signing in with a passkey');
  assert.equal(await person.refusal(), cancelled);
  await person.detachDevice();
  await person.attachDevice(passkeys);
  await person.signInWithPasskey();
});

walk('an open prompt can be left, and the next one works', 'fay', async (person) => {
  await person.signUp();
  await person.signInWithPassword();
  await person.detachDevice();
  await person.press('Add a passkey');
  await person.isTold('Follow your browser’s prompt…');
  await person.picture('adding-prompt');
  await person.page.reload();
  await person.sees('Your account');
  await person.attachDevice();
  await person.addPasskey();
  await person.signOut();

  const passkeys = await person.takePasskeys();
  await person.detachDevice();
  await person.press('Try signing in with a passkey');
  await person.isTold('Follow your browser’s prompt…');
  await person.picture('signing-in-prompt');
  await person.page.reload();
  await person.sees('Sign in');
  await person.attachDevice(passkeys);
  await person.signInWithPasskey();
});

walk('a user without a passkey is told so, and gets in by password', 'gus', async (person) => {
  await person.signUp();
  const noPasskey = 'This account has no passkey yet. Sign in with your password, then add one.';
  await person.press('Try signing in with a passkey');
  assert.equal(await person.refusal(), noPasskey);
  await person.picture('no-passkey');
  await person.signInWithPassword();

  // One who gave up adding a passkey is known to the passkey service, but still has none.
  await person.setRecognized(false);
  await person.press('Add a passkey');
  await person.refusal();
  await person.setRecognized(true);
  await person.signOut();
  await person.press('Try signing in with a passkey');
  assert.equal(await person.refusal(), noPasskey);

  await person.signInWithPassword();
  await person.addPasskey();
  await person.signOut();
  await person.signInWithPasskey();
});

walk('a device holds one passkey of an account', 'hal', async (person) => {
  await person.signUp();
  await person.signInWithPassword();
  await person.addPasskey();
  await person.press('Add a passkey');
  assert.equal(
    await person.refusal(),
    'This device already has a passkey for your account. You can sign in with it.',
  );
  await person.picture('passkey-already-there');
  const first = await person.takePasskeys();
  assert.equal(first.length, 1);

  // Another device gets a passkey of its own, and both sign in.
  await person.detachDevice();
  await person.attachDevice();
  await person.addPasskey();
  await person.signOut();
  await person.signInWithPasskey();
  await person.picture('account-second-passkey');
  await person.signOut();
  await person.detachDevice();
  await person.attachDevice(first);
  await person.signInWithPasskey();
});

walk('a reload keeps the session, signing out ends it', 'ina', async (person) => {
  await person.signUp();
  await person.signInWithPassword();
  const claims = await person.claims();
  await person.page.reload();
  await person.sees('Your account');
  assert.deepEqual(await person.claims(), claims);
  await person.addPasskey();
  await person.page.getByText('Raw token').click();
  await person.picture('raw-token');

  await person.signOut();
  await person.page.reload();
  await person.sees('Sign in');
  await person.page.goBack();
  await person.sees('Sign in');
});

walk('everything works by keyboard alone, and shows where it is', 'joan', async (person) => {
  const { keyboard } = person.page;
  const button = (name) => person.page.getByRole('button', { name, exact: true });
  const field = (name) => person.page.getByLabel(name, { exact: true });

  await tabTo(person, field('Email'));
  await keyboard.type(person.email);
  await tabTo(person, field('Password'));
  await keyboard.type('Correct');
  await keyboard.press('Enter');
  await person.page.getByText('The password still needs 8 characters, a number, and a symbol.').waitFor();
  assert.ok(await isFocused(field('Password')), 'the wrong field has the focus');
  await keyboard.type('-Horse7');
  await tabTo(person, button('Show password'));
  await keyboard.press('Enter');
  await button('Hide password').waitFor();
  await tabTo(person, button('Sign up'));
  await person.picture('keyboard-sign-up');
  await keyboard.press('Enter');

  await person.sees('Sign in');
  await person.isTold('Welcome! Your account is ready. Now sign in with your password.');
  assert.ok(await isFocused(field('Password')), 'typing can go on at the password');
  await keyboard.type('Wrong-Horse7');
  await keyboard.press('Enter');
  assert.equal(await person.refusal(), 'The email or the password is not right.');
  assert.ok(await isFocused(field('Password')), 'typing replaces the wrong password');
  await keyboard.type(person.password);
  await keyboard.press('Enter');

  await person.sees('Your account');
  await tabTo(person, button('Add a passkey'));
  await keyboard.press('Enter');
  await person.isTold('Passkey added. Sign out, then sign in with it.');
  assert.ok(await isFocused(button('Add a passkey')), 'the button keeps its place');
  await person.picture('keyboard-passkey-added');
  await tabTo(person, button('Sign out'), 'Shift+Tab');
  await keyboard.press('Space');

  await person.sees('Sign in');
  assert.ok(await isFocused(button('Try signing in with a passkey')), 'Enter goes on with the passkey');
  await person.picture('keyboard-sign-in');
  await tabTo(person, field('Password'), 'Shift+Tab');
  await tabTo(person, button('Try signing in with a passkey'));
  await keyboard.press('Enter');
  await person.sees('Your account');
});

// The last, because it stops what the others use.
test('a second demo starts from what the first left', async (t) => {
  assert.ok(ann, 'nothing was left: the first test failed');
  await demo.stop();
  await demo.start();
  await asPerson(t, { name: 'ann', passkeys: ann.passkeys }, async (person) => {
    await person.follow('Sign in');
    await person.signInWithPasskey();
    await person.picture('account-after-restart');
    assert.equal((await person.claims()).sub, ann.sub);
  });
});

/** A test of one person's walk. */
function walk(title, name, steps) {
  test(title, (t) => asPerson(t, { name }, steps));
}

async function asPerson(t, who, steps) {
  const person = await Person.arrive(browser, demo.url, who);
  try {
    await steps(person);
    assert.deepEqual(person.complaints, []);
  } catch (error) {
    await person.picture('failed').catch(() => {});
    t.diagnostic(`the page:\n${await person.describe().catch(String)}`);
    for (const complaint of person.complaints) t.diagnostic(complaint);
    t.diagnostic(await demo.lastWords());
    throw error;
  } finally {
    await person.leave();
  }
}

/** Presses Tab until something has the focus; on the way each stop must be visible. */
async function tabTo(person, target, key = 'Tab') {
  const STOPS_MAX = 20;
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    await person.page.keyboard.press(key);
    assert.deepEqual(await person.page.evaluate(hiddenFocus), undefined, 'the focus is visible');
    if (await isFocused(target)) return;
  }
  assert.fail(`${target} is not reached with ${key}:\n${await person.describe()}`);
}

/** In the page: what has the focus without showing it. */
function hiddenFocus() {
  const focused = document.activeElement;
  if (focused === null || focused === document.body) return undefined;
  const { outlineStyle, outlineWidth } = getComputedStyle(focused);
  const { top, bottom } = focused.getBoundingClientRect();
  const isOutlined = outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  const isInView = top >= 0 && bottom <= innerHeight;
  return isOutlined && isInView ? undefined : focused.outerHTML;
}

function isFocused(target) {
  return target.evaluate((element) => element === document.activeElement);
}
