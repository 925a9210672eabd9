// One AbortSignal that follows another. `AbortSignal.any` would say it in a line, but browsers that have passkeys and
// lack it are still in use.

/** A controller of its own that also aborts when somebody else's signal does. */
export interface Follower {
  controller: AbortController;
  /** Stops following. Without it a signal that outlives many followers would hold them all. */
  release(): void;
}

/** @param reason Turns the other signal's reason into that of the follower. */
export function follow(
  signal: AbortSignal | undefined,
  reason: (reason: unknown) => unknown = (given) => given,
): Follower {
  const controller = new AbortController();
  const abort = () => controller.abort(reason(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  return { controller, release: () => signal?.removeEventListener('abort', abort) };
}
