// What this browser keeps: the session until the tab closes, and how far along the guide somebody has come.

import type { Claims } from './access-token.js';

/** A signed-in user. */
export interface Session {
  email: string;
  accessToken: string;
  signedInWith: 'password' | 'passkey';
}

/** How far the last email got. The claims are those of its last password sign-in, to compare with. */
export interface Progress {
  email: string;
  signedUp?: boolean;
  signedIn?: boolean;
  passkeyAdded?: boolean;
  passkeyUsed?: boolean;
  passwordClaims?: Claims;
}

const SESSION = 'claviger-example.session';
const PROGRESS = 'claviger-example.progress';

export function loadSession(): Session | undefined {
  return load<Session>(sessionStorage, SESSION);
}

/** Not in localStorage: a token should not outlive the tab on a shared computer. */
export function saveSession(session: Session): void {
  sessionStorage.setItem(SESSION, JSON.stringify(session));
}

export function forgetSession(): void {
  sessionStorage.removeItem(SESSION);
}

export function loadProgress(): Progress | undefined {
  return load<Progress>(localStorage, PROGRESS);
}

/** Adds to the progress of an email; another email starts afresh. */
export function saveProgress(progress: Progress): void {
  const before = loadProgress();
  const base = before?.email === progress.email ? before : {};
  localStorage.setItem(PROGRESS, JSON.stringify({ ...base, ...progress }));
}

function load<Value>(storage: Storage, key: string): Value | undefined {
  try {
    return (JSON.parse(storage.getItem(key) ?? 'null') as Value | null) ?? undefined;
  } catch {
    return undefined;
  }
}
