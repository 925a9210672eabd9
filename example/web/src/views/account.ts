import { claimRows, readClaims, type Claims } from '../access-token.js';
import { explain } from '../messages.js';
import { forgetSession, loadProgress, saveProgress, type Session } from '../memory.js';
import { showSteps } from '../steps.js';
import html from './account.html?raw';
import { build, notify, part, whileBusy } from './view.js';
import type { App, Notice, Progressing, SignedInView } from './view.js';

/** The claims that stay the same however a user signs in, which is the point of the guide. */
const COMPARED = ['sub', 'iss', 'scope'];

export const accountView: SignedInView = (app, session) => {
  const root = build(html);
  const addPasskey = part(root, '[data-action=add-passkey]');
  const signOut = part(root, '[data-action=sign-out]');

  part(root, '[data-email]').textContent = session.email;
  part(root, '[data-with]').textContent = `with your ${session.signedInWith}`;
  part(root, '[data-token]').textContent = session.accessToken;
  fillClaims(root, session);
  showPasskeyText(root, session);

  addPasskey.addEventListener('click', () => {
    void whileBusy(
      root,
      addPasskey,
      async (say) => {
        await registerPasskey(app, session, say);
        showPasskeyText(root, session);
        showSteps();
        notify(root, { kind: 'status', text: 'Passkey added. Sign out, then sign in with it.' });
      },
      (error) => explain(error, 'add-passkey'),
    );
  });

  signOut.addEventListener('click', () => {
    void whileBusy(
      root,
      signOut,
      async (say) => {
        say('Signing out…');
        const notice = await endSession(app, session);
        forgetSession();
        app.go('sign-in', notice);
      },
      () => 'Something unexpected went wrong. Please try again.',
    );
  });

  wireCopy(root, session.accessToken);
  return { root };
};

async function registerPasskey(app: App, session: Session, say: Progressing): Promise<void> {
  say('Preparing…');
  const transactionId = await app.server.addPasskey(session.accessToken);
  say('Follow your browser’s prompt…');
  // A computer without a fingerprint reader or the like can still use a phone or a security key.
  const authenticatorAttachment = (await app.passage.passkey.canRegisterPasskey()) ? 'platform' : 'any';
  // The nonce would prove the passkey to a server. Here the user is signed in already, so nobody needs the proof.
  await app.passage.passkey.register(transactionId, { authenticatorAttachment });
  saveProgress({ email: session.email, passkeyAdded: true });
}

/** Signing out always works here; when the pool could not be told, the person should know what that means. */
async function endSession(app: App, { accessToken }: Session): Promise<Notice> {
  try {
    await app.pool.signOut(accessToken);
  } catch (error) {
    const isOver = error instanceof Error && error.name === 'NotAuthorizedException';
    if (!isOver) {
      console.warn(error);
      return {
        kind: 'alert',
        text: 'You are signed out here, but the user pool could not be told. The token stays valid until it expires.',
      };
    }
  }
  return { kind: 'status', text: 'You are signed out.' };
}

function showPasskeyText(root: HTMLElement, { email, signedInWith }: Session): void {
  const progress = loadProgress();
  const hasPasskey = progress?.email === email && progress.passkeyAdded === true;
  part(root, '[data-passkey-text]').textContent =
    signedInWith === 'passkey'
      ? 'You signed in with one. You can add another, for another device.'
      : hasPasskey
        ? 'Your account has one. Sign out to try it.'
        : 'Sign in with your fingerprint, face or screen lock next time.';
}

function fillClaims(root: HTMLElement, session: Session): void {
  const claims = readClaims(session.accessToken);
  const body = part(root, 'tbody');
  if (!claims) {
    notify(root, { kind: 'alert', text: 'The user pool’s access token cannot be read.' });
    return;
  }
  if (typeof claims['exp'] === 'number') {
    const until = new Date(claims['exp'] * 1000).toLocaleTimeString(undefined, { timeStyle: 'short' });
    part(root, '[data-token-text]').textContent = `What the user pool says about you, good until ${until}.`;
  }
  const unchanged = unchangedSincePassword(session, claims);
  for (const { name, meaning, value } of claimRows(claims)) {
    const row = document.createElement('tr');
    const head = document.createElement('th');
    const cell = document.createElement('td');
    head.scope = 'row';
    head.append(element('code', name), element('span', meaning));
    const code = element('code', value);
    code.dataset['claim'] = name;
    cell.append(code);
    if (unchanged.includes(name)) cell.append(element('em', 'same as with your password'));
    row.append(head, cell);
    body.append(row);
  }
}

/** After a passkey sign-in: which of the compared claims equal those of this user's last password sign-in. */
function unchangedSincePassword({ email, signedInWith }: Session, claims: Claims): string[] {
  const progress = loadProgress();
  const before = progress?.email === email ? progress.passwordClaims : undefined;
  if (signedInWith !== 'passkey' || !before) return [];
  return COMPARED.filter((name) => claims[name] === before[name]);
}

function element(tag: string, text: string): HTMLElement {
  const created = document.createElement(tag);
  created.textContent = text;
  return created;
}

function wireCopy(root: HTMLElement, accessToken: string): void {
  const copy = part(root, '[data-action=copy]');
  copy.addEventListener('click', () => {
    void whileBusy(
      root,
      copy,
      async () => {
        await navigator.clipboard.writeText(accessToken);
        notify(root, { kind: 'status', text: 'Token copied.' });
      },
      () => 'The browser did not allow copying. Select the token instead.',
    );
  });
}
