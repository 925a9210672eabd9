// Who may talk to the authenticator now. A page has one `navigator.credentials`, so this state belongs to the page
// and not to an instance of PassageFlex.

import { PassageError } from './errors.js';

/** A modal ceremony shows a prompt; autofill waits, perhaps for minutes, behind a form field. */
type Kind = 'modal' | 'autofill';

let current: { kind: Kind; controller: AbortController } | undefined;

/**
 * Runs the part of a ceremony that a newer one may interrupt: the start call and the browser's prompt.
 *
 * The newer ceremony wins, with one exception: autofill never closes a prompt that a person is looking at.
 * Every run gets its own signal; a used one stays aborted for ever and would end the next autofill at once.
 */
export async function runCeremony<Result>(
  kind: Kind,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  if (kind === 'autofill' && current?.kind === 'modal') {
    throw new PassageError('ceremony_in_progress', 'Another passkey request is still open.');
  }
  current?.controller.abort(
    new PassageError('ceremony_aborted', 'The passkey request was replaced by a newer one.'),
  );
  const mine = { kind, controller: new AbortController() };
  current = mine;
  try {
    return await run(mine.controller.signal);
  } finally {
    if (current === mine) current = undefined;
  }
}
