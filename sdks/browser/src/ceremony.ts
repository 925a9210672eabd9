// Who may talk to the authenticator now. A browser serves one request of a page at a time, so this state belongs to the
// page and not to an instance of PassageFlex.
//
// Autofill waits behind a form field, perhaps for minutes, and gives way to everything else: it is interrupted, keeps
// its handshake, and is asked again when the others are through. Prompts replace each other, the newest wins. Signals
// to the authenticator wait until no prompt is open.

import { follow, type Follower } from './abort.js';
import { invalidArgument, PassageError } from './errors.js';

/** The three parts of a ceremony. */
export interface Ceremony<Started, Answer> {
  /** Asks the service for a handshake. */
  start(signal: AbortSignal): Promise<Started>;
  /** Asks the browser. Autofill that was interrupted is asked again with the same handshake, which is still unspent. */
  prompt(started: Started, signal: AbortSignal): Promise<Answer>;
  /**
   * Hands the answer to the service. Nothing interrupts it: from here on a passkey may have been stored, or a login
   * counted, and the nonce is the only proof.
   */
  finish(started: Started, answer: Answer): Promise<string>;
}

/** Autofill that has not been answered. */
interface Waiting {
  end: AbortController;
  /** Interrupts the browser's request; there is none while others are at work. */
  pause?: (() => void) | undefined;
}

let prompt: AbortController | undefined;
let autofill: Waiting | undefined;

/** What autofill has to wait for: prompts, from their start to their finish, and signals. */
const others = new Set<Promise<unknown>>();
/** The prompts among them. */
const prompts = new Set<Promise<unknown>>();
/** The signal that the browser is taking in. */
let signalling: Promise<unknown> = Promise.resolve();

/** Runs a ceremony that prompts the person. It ends whatever prompt is open. */
export async function runPrompt<Started, Answer>(
  ceremony: Ceremony<Started, Answer>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const own = followCaller(signal);
  prompt?.abort(replaced());
  prompt = own.controller;
  const run = async () => {
    const { started, answer } = await untilAnswered(own, async () => {
      const started = await ceremony.start(own.controller.signal);
      await signalling;
      own.controller.signal.throwIfAborted();
      return { started, answer: await ceremony.prompt(started, own.controller.signal) };
    }).finally(() => {
      if (prompt === own.controller) prompt = undefined;
    });
    return ceremony.finish(started, answer);
  };
  return ahead(run, [others, prompts]);
}

/** Runs a ceremony that the browser does in passing. It never ends a prompt, but a prompt ends it. */
export async function runInPassing<Started, Answer>(
  ceremony: Ceremony<Started, Answer>,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (prompt) throw new PassageError('ceremony_in_progress', 'Another passkey request is still open.');
  return runPrompt(ceremony, signal);
}

/** Runs a ceremony by autofill. It ends the autofill that waits already, and survives everything else. */
export async function runAutofill<Started, Answer>(
  ceremony: Ceremony<Started, Answer>,
  signal: AbortSignal | undefined,
): Promise<string> {
  const own = followCaller(signal);
  autofill?.end.abort(replaced());
  const mine: Waiting = { end: own.controller };
  autofill = mine;
  const { started, answer } = await untilAnswered(own, async () => {
    const started = await ceremony.start(own.controller.signal);
    return { started, answer: await promptBetweenOthers(ceremony, started, mine) };
  }).finally(() => {
    if (autofill === mine) autofill = undefined;
  });
  return ceremony.finish(started, answer);
}

/** Tells the authenticator something. Browsers refuse that while a request is pending, even one of autofill. */
export function runSignal(tell: () => Promise<void>): Promise<void> {
  const run = async () => {
    while (prompts.size > 0) await Promise.allSettled(prompts);
    // One after the other: two signals at once refuse each other as well.
    const told = signalling.then(tell);
    signalling = told.catch(() => {});
    await told;
  };
  return ahead(run, [others]);
}

async function promptBetweenOthers<Started, Answer>(
  ceremony: Ceremony<Started, Answer>,
  started: Started,
  mine: Waiting,
): Promise<Answer> {
  const ended = aborted(mine.end.signal);
  for (;;) {
    while (others.size > 0) await Promise.race([Promise.allSettled(others), ended]);
    mine.end.signal.throwIfAborted();
    // A new one each time: a used controller stays aborted for ever.
    const attempt = follow(mine.end.signal);
    let isPaused = false;
    mine.pause = () => {
      isPaused = true;
      attempt.controller.abort(paused());
    };
    try {
      return await ceremony.prompt(started, attempt.controller.signal);
    } catch (error) {
      if (!isPaused || mine.end.signal.aborted) throw error;
    } finally {
      mine.pause = undefined;
      attempt.release();
    }
  }
}

/** Runs while autofill is out of the way. */
function ahead<Result>(run: () => Promise<Result>, registers: Set<Promise<unknown>>[]): Promise<Result> {
  const running = run();
  for (const register of registers) register.add(running);
  autofill?.pause?.();
  return running.finally(() => {
    for (const register of registers) register.delete(running);
  });
}

/** The reason of an abort is the error, whatever the browser makes of it. */
async function untilAnswered<Result>(
  { controller, release }: Follower,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    release();
  }
}

/**
 * @throws PassageError when the caller has given up already, or gave something else in the place of a signal; then
 *   nobody else's request may end for this one.
 */
function followCaller(signal: AbortSignal | undefined): Follower {
  // By what it can do: a signal of another frame is no instance of this one's class.
  if (signal != null && typeof signal.addEventListener !== 'function') {
    throw invalidArgument('signal must be an AbortSignal.');
  }
  const follower = follow(
    signal,
    (cause) => new PassageError('ceremony_aborted', 'The passkey request was ended by the page.', { cause }),
  );
  follower.controller.signal.throwIfAborted();
  return follower;
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal): Promise<never> {
  const rejection = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  // Nobody may be waiting for it when it comes.
  rejection.catch(() => {});
  return rejection;
}

function replaced(): PassageError {
  return new PassageError('ceremony_aborted', 'The passkey request was replaced by a newer one.');
}

function paused(): PassageError {
  return new PassageError('ceremony_aborted', 'The passkey request made way for another.');
}
