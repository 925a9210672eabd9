import { explain } from '../messages.js';
import { saveProgress } from '../memory.js';
import { missingFrom, PASSWORD_RULES } from '../password-rules.js';
import html from './sign-up.html?raw';
import {
  areValid,
  build,
  clearErrorsOnInput,
  missingEmail,
  part,
  whileBusy,
  wirePasswordToggle,
} from './view.js';
import type { App, View } from './view.js';

export function signUpView(app: App): View {
  const root = build(html);
  const form = part<HTMLFormElement>(root, 'form');
  const email = part<HTMLInputElement>(form, '#email');
  const password = part<HTMLInputElement>(form, '#password');
  const showRules = wireRules(part(form, '#password-rules'));

  // Signed up, but the example server could not be reached to confirm it: the next try only does what is left.
  let unconfirmed: string | undefined;

  showRules('');
  wirePasswordToggle(form);
  clearErrorsOnInput(form);
  password.addEventListener('input', () => showRules(password.value));

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const isReady = areValid([
      [email, missingEmail(email)],
      [password, password.value === '' ? 'Choose a password.' : missingFrom(password.value)],
    ]);
    if (!isReady) return;
    const address = email.value.trim();
    void whileBusy(
      root,
      part(form, '[type=submit]'),
      async (say) => {
        say('Creating your account…');
        if (unconfirmed !== address) {
          await app.pool.signUp(address, password.value);
          unconfirmed = address;
        }
        await app.server.confirmSignUp(address);
        saveProgress({ email: address, signedUp: true });
        app.go('sign-in', {
          kind: 'status',
          text: 'Welcome! Your account is ready. Now sign in with your password.',
        });
      },
      (error) => explain(error, 'sign-up'),
    );
  });
  return { root };
}

/** Lists the rules, and ticks those that a password meets. */
function wireRules(list: HTMLElement): (password: string) => void {
  const items = PASSWORD_RULES.map(({ need, isMet }) => {
    const item = document.createElement('li');
    const state = document.createElement('span');
    state.className = 'visually-hidden';
    item.append(need, state);
    list.append(item);
    return { item, state, isMet };
  });
  return (password) => {
    for (const { item, state, isMet } of items) {
      item.classList.toggle('met', isMet(password));
      state.textContent = isMet(password) ? ' (done)' : ' (missing)';
    }
  };
}
