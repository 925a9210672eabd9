import { readClaims } from '../access-token.js';
import { explain } from '../messages.js';
import { loadProgress, saveProgress, saveSession } from '../memory.js';
import html from './sign-in.html?raw';
import {
  areValid,
  build,
  clearErrorsOnInput,
  missingEmail,
  part,
  whileBusy,
  wirePasswordToggle,
} from './view.js';
import type { App, Progressing, View } from './view.js';

export function signInView(app: App): View {
  const root = build(html);
  const form = part<HTMLFormElement>(root, 'form');
  const email = part<HTMLInputElement>(form, '#email');
  const password = part<HTMLInputElement>(form, '#password');
  const passkeyButton = part(form, '[data-action=passkey]');

  const progress = loadProgress();
  email.value = progress?.email ?? '';
  wirePasswordToggle(form);
  clearErrorsOnInput(form);

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const isReady = areValid([
      [email, missingEmail(email)],
      [password, password.value === '' ? 'Enter your password.' : undefined],
    ]);
    if (!isReady) return;
    void whileBusy(
      root,
      part(form, '[type=submit]'),
      (say) => signInWithPassword(app, email.value.trim(), password.value, say),
      (error) => {
        password.select();
        return explain(error, 'password');
      },
    );
  });

  passkeyButton.addEventListener('click', () => {
    if (!areValid([[email, missingEmail(email)]])) return;
    void whileBusy(
      root,
      passkeyButton,
      (say) => signInWithPasskey(app, email.value.trim(), say),
      (error) => explain(error, 'passkey'),
    );
  });
  // Whoever is known goes on with what they have: the passkey, or else the password.
  return { root, focus: !progress ? undefined : progress.passkeyAdded ? passkeyButton : password };
}

async function signInWithPassword(
  app: App,
  email: string,
  password: string,
  say: Progressing,
): Promise<void> {
  say('Checking your password…');
  const accessToken = await confirmedSignIn(app, email, password);
  const claims = readClaims(accessToken);
  saveProgress({ email, signedUp: true, signedIn: true, ...(claims && { passwordClaims: claims }) });
  saveSession({ email, accessToken, signedInWith: 'password' });
  app.go('account');
}

/** An account that the example server could not confirm at sign-up, because it was down, is confirmed now. */
async function confirmedSignIn(app: App, email: string, password: string): Promise<string> {
  try {
    return await app.pool.signInWithPassword(email, password);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'UserNotConfirmedException') throw error;
    await app.server.confirmSignUp(email);
    return app.pool.signInWithPassword(email, password);
  }
}

async function signInWithPasskey(app: App, email: string, say: Progressing): Promise<void> {
  say('Looking for your passkey…');
  const accessToken = await app.pool.signInWithPasskey(email, async (transactionId) => {
    say('Follow your browser’s prompt…');
    const nonce = await app.passage.passkey.authenticate({ transactionId });
    say('Signing you in…');
    return nonce;
  });
  saveProgress({ email, signedUp: true, signedIn: true, passkeyAdded: true, passkeyUsed: true });
  saveSession({ email, accessToken, signedInWith: 'passkey' });
  app.go('account');
}
