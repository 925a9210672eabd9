// What a page is, and the pieces that every page with a form or a button shares: notices, field errors, busy state.

import type { PassageFlex } from '@claviger/passage-flex';
import type { Pool } from '../cognito.js';
import type { Session } from '../memory.js';
import type { ExampleServer } from '../server.js';

/** What the pages are given to work with. */
export interface App {
  pool: Pool;
  server: ExampleServer;
  passage: PassageFlex;
  /** Shows another page, with a notice to read there. */
  go(page: 'sign-up' | 'sign-in' | 'account', notice?: Notice): void;
}

export interface Notice {
  kind: 'alert' | 'status';
  text: string;
}

/** A page filled with life. `focus` is where a person coming from another page goes on; by default the heading. */
export interface View {
  root: HTMLElement;
  focus?: HTMLElement | undefined;
}

/** Pages of a signed-in user also get the session. */
export type SignedInView = (app: App, session: Session) => View;

/** Makes the page of an .html file. The markup is ours and static; values are set as text afterwards. */
export function build(html: string): HTMLElement {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content.firstElementChild as HTMLElement;
}

/** The one element that a selector of our own markup finds. */
export function part<Type extends Element = HTMLElement>(root: ParentNode, selector: string): Type {
  const found = root.querySelector<Type>(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return found;
}

/** Shows a notice in the page's live regions, or clears both. Setting the text is what makes it read out. */
export function notify(root: HTMLElement, notice?: Notice & { isBusy?: boolean }): void {
  for (const kind of ['alert', 'status'] as const) {
    const region = part(root, `[role=${kind}]`);
    region.textContent = notice?.kind === kind ? notice.text : '';
    region.classList.toggle('busy', notice?.kind === kind && notice.isBusy === true);
  }
}

/** Says what is going on while it is going on. */
export type Progressing = (text: string) => void;

/**
 * Makes a button (or form) do something that takes time. While it runs every control of the page waits, except for
 * keeping its place in the tab order: a disabled button would throw the keyboard's user to the top.
 */
export async function whileBusy(
  root: HTMLElement,
  source: HTMLElement,
  work: (say: Progressing) => Promise<void>,
  explainFailure: (error: unknown) => string,
): Promise<void> {
  if (root.hasAttribute('aria-busy')) return;
  const buttons = root.querySelectorAll('button:not([data-toggle])');
  root.setAttribute('aria-busy', 'true');
  source.classList.add('working');
  for (const button of buttons) button.setAttribute('aria-disabled', 'true');
  notify(root);
  try {
    await work((text) => notify(root, { kind: 'status', text, isBusy: true }));
  } catch (error) {
    // The sentence is for the person; whoever opens the console wants the exception.
    console.warn(error);
    notify(root, { kind: 'alert', text: explainFailure(error) });
  } finally {
    root.removeAttribute('aria-busy');
    source.classList.remove('working');
    for (const button of buttons) button.removeAttribute('aria-disabled');
  }
}

/** Marks a field as wrong and says why beside it, or clears it. */
export function setFieldError(input: HTMLInputElement, text: string | undefined): void {
  if (text === undefined) input.removeAttribute('aria-invalid');
  else input.setAttribute('aria-invalid', 'true');
  part(input.form!, `#${input.id}-error`).textContent = text ?? '';
}

/** Checks fields in order; the first wrong one gets the focus. */
export function areValid(checks: [HTMLInputElement, string | undefined][]): boolean {
  for (const [input, text] of checks) setFieldError(input, text);
  const wrong = checks.find(([, text]) => text !== undefined);
  wrong?.[0].focus();
  return wrong === undefined;
}

export function missingEmail(input: HTMLInputElement): string | undefined {
  if (input.value.trim() === '') return 'Enter your email.';
  return input.validity.typeMismatch ? 'Enter a full email address, such as ann@example.com.' : undefined;
}

/** A field's error goes away as soon as the person does something about it. */
export function clearErrorsOnInput(form: HTMLFormElement): void {
  form.addEventListener('input', ({ target }) => setFieldError(target as HTMLInputElement, undefined));
}

/** Lets a person see the password they type. */
export function wirePasswordToggle(root: HTMLElement): void {
  const input = part<HTMLInputElement>(root, '#password');
  const toggle = part(root, '[data-toggle]');
  toggle.addEventListener('click', () => {
    const isShown = input.type === 'text';
    input.type = isShown ? 'password' : 'text';
    part(toggle, '[data-word]').textContent = isShown ? 'Show' : 'Hide';
  });
}
