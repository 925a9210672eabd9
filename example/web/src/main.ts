// The app: settings, whom it talks to, and which page is shown for which address.

import '@fontsource-variable/instrument-sans/wght.css';
import '@fontsource-variable/geist-mono/wght.css';
import './style.css';

import { PassageFlex } from '@claviger/passage-flex';
import { isExpired, readClaims } from './access-token.js';
import { Pool } from './cognito.js';
import { forgetSession, loadProgress, loadSession, type Session } from './memory.js';
import { ExampleServer } from './server.js';
import { readSettings, type Settings } from './settings.js';
import { showSteps } from './steps.js';
import { accountView } from './views/account.js';
import { missingSettingsView } from './views/missing-settings.js';
import { signInView } from './views/sign-in.js';
import { signUpView } from './views/sign-up.js';
import { notify, part, type App, type Notice, type View } from './views/view.js';

const main = part(document, '#view');

function start(settings: Settings): void {
  let notice: Notice | undefined;

  const app: App = {
    pool: new Pool(settings),
    server: new ExampleServer(settings.serverUrl),
    passage: new PassageFlex(settings.passageAppId, { baseUrl: settings.passageBaseUrl }),
    go(page, next) {
      notice = next;
      location.hash = `#/${page}`;
    },
  };

  function show(isArrival: boolean): void {
    const session = liveSession();
    const page = pageFor(location.hash, session);
    // Replacing, not adding: the back button must not lead to an address that only leads here again.
    if (location.hash !== `#/${page}`) history.replaceState(null, '', `#/${page}`);
    const view =
      page === 'account' && session
        ? accountView(app, session)
        : page === 'sign-in'
          ? signInView(app)
          : signUpView(app);
    present(view, isArrival);
    if (notice) {
      // A live region reads out what changes after it is on the page, so the notice comes a moment later.
      const arrived = notice;
      notice = undefined;
      requestAnimationFrame(() => notify(view.root, arrived));
    }
  }

  function liveSession(): Session | undefined {
    const session = loadSession();
    if (!session) return undefined;
    const claims = readClaims(session.accessToken);
    if (!claims || !isExpired(claims, Date.now())) return session;
    forgetSession();
    notice = { kind: 'status', text: 'Your session has ended. Please sign in again.' };
    return undefined;
  }

  showFacts(settings);
  window.addEventListener('hashchange', () => show(false));
  show(true);
}

type Page = 'sign-up' | 'sign-in' | 'account';

/** The page an address leads to. Signed-in people see their account; newcomers start at the beginning. */
function pageFor(hash: string, session: Session | undefined): Page {
  if (session) return 'account';
  if (hash === '#/sign-up') return 'sign-up';
  if (hash === '#/sign-in' || hash === '#/account') return 'sign-in';
  return loadProgress()?.signedUp ? 'sign-in' : 'sign-up';
}

/** Puts a page on the screen. Whoever came by a link or a button goes on at its start, by keyboard and by ear. */
function present({ root, focus }: View, isArrival: boolean): void {
  main.replaceChildren(root);
  const heading = part(root, 'h1');
  document.title = `${heading.textContent} · Claviger example`;
  showSteps();
  if (isArrival) return;
  window.scrollTo(0, 0);
  (focus ?? heading).focus({ preventScroll: true });
}

function showFacts({ userPoolId, poolEndpoint, passageAppId }: Settings): void {
  const facts: [string, string][] = [
    ['User pool', userPoolId],
    ['at', poolEndpoint ?? 'Amazon Cognito'],
    ['Passkey app', passageAppId],
  ];
  const list = part(document, '.facts');
  for (const [name, value] of facts) {
    const term = document.createElement('dt');
    const details = document.createElement('dd');
    term.textContent = name;
    details.textContent = value;
    list.append(term, details);
  }
}

const settings = readSettings(import.meta.env);
if ('missing' in settings) present(missingSettingsView(settings.missing), true);
else start(settings);
