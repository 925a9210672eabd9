// The one error this package throws, and how a browser's refusal becomes one.
// The service's refusals become one in api.ts.

/** Why a ceremony did not start, in this package's own words. Stable: a program may branch on them. */
type OwnErrorCode =
  /** The person closed the prompt, let it time out, or had no passkey that fits. Browsers do not tell these apart. */
  | 'passkey_cancelled'
  /** The authenticator already holds a passkey for this user and this site. */
  | 'passkey_already_registered'
  /** This browser or this page cannot use passkeys. */
  | 'passkeys_not_supported'
  /** No authenticator at hand can do what the service demands. */
  | 'authenticator_not_suitable'
  /** The page's address may not use this relying party's passkeys. */
  | 'origin_not_allowed'
  /** A newer ceremony on this page took over, or the page ended it through its `AbortSignal`; see `cause`. */
  | 'ceremony_aborted'
  /** Another ceremony, perhaps of another script, is waiting for the person, so this one was not started. */
  | 'ceremony_in_progress'
  /** The browser reported success but handed over no credential. Nothing was sent to the service. */
  | 'no_credential'
  /** The browser failed in a way it has no name for; see `cause`. */
  | 'passkey_failed'
  /** An argument or setting that cannot be right, such as an empty transaction id. Nothing was sent. */
  | 'invalid_argument'
  /**
   * The service could not be reached, or the browser withheld its answer (CORS), as it does for a wrong app id and for a
   * page whose origin is not among the app's; its console says so.
   */
  | 'network_error'
  /** The service did not answer within `timeoutMs`. */
  | 'timeout'
  /** The answer does not follow the service's contract. With a `statusCode` of 404, `baseUrl` is probably wrong. */
  | 'invalid_response';

/** The codes the service answers, per its contract. */
type ServiceErrorCode =
  | 'invalid_request'
  | 'invalid_client_version'
  | 'webauthn_login_failed'
  | 'discoverable_login_failed'
  | 'user_not_active'
  | 'operation_not_allowed'
  | 'app_not_found'
  | 'transaction_not_found'
  | 'user_not_found'
  | 'user_has_no_passkeys'
  | 'rate_limit_exceeded'
  /** Also this package's own: the service failed, or a proxy did not get through to it. */
  | 'internal_server_error';

/** Every known code. A newer service may answer others, so the type stays open. */
export type PassageErrorCode = OwnErrorCode | ServiceErrorCode | (string & {});

interface PassageErrorDetails {
  statusCode?: number | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/**
 * What every method of this package rejects with, and its constructor throws.
 *
 * `message` is a sentence a person can read; `code` is for programs; `cause` holds the browser's original error.
 *
 * @example
 * try {
 *   await passage.passkey.register(transactionId);
 * } catch (error) {
 *   if (error instanceof PassageError && error.code === 'passkey_cancelled') return;
 *   throw error;
 * }
 */
export class PassageError extends Error {
  override readonly name = 'PassageError';
  /** The service's code, or one of this package's own. */
  readonly code: PassageErrorCode;
  /** The HTTP status, when there was an answer that the page could read. */
  readonly statusCode: number | undefined;
  /** With `rate_limit_exceeded`: how long the service asked to wait, in milliseconds, if it said so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: PassageErrorCode, message: string, details: PassageErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.statusCode = details.statusCode;
    this.retryAfterMs = details.retryAfterMs;
  }
}

export function invalidArgument(message: string): PassageError {
  return new PassageError('invalid_argument', message);
}

/** An argument whose members are asked for next: nothing else, such as null or a text in its place, may pass for empty. */
export function readObject<Value extends object>(name: string, value: Value): Value {
  if (typeof value !== 'object' || value === null) throw invalidArgument(`${name} must be an object.`);
  return value;
}

/** Whether the service itself said no, so that what was asked for has surely not happened. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof PassageError) || error.code === 'invalid_response') return false;
  return error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500;
}

/** What the browser was asked for. */
export type BrowserCall = 'registration' | 'authentication' | 'signal';

/**
 * Gives a browser's refusal its stable code.
 *
 * The error names are those WebAuthn Level 3 lists for `create()` (5.1.3) and `get()` (5.1.4). They overlap: only
 * `create()` uses `InvalidStateError` for an excluded credential, hence the ceremony.
 *
 * @param error What `navigator.credentials` rejected with, or a signal to the authenticator.
 */
export function fromBrowser(error: unknown, ceremony: BrowserCall): PassageError {
  if (error instanceof PassageError) return error;
  const [code, message] = describe(error instanceof Error ? error.name : '', ceremony);
  return new PassageError(code, message, { cause: error });
}

function describe(name: string, ceremony: BrowserCall): [OwnErrorCode, string] {
  switch (name) {
    case 'NotAllowedError':
      return ceremony === 'registration'
        ? ['passkey_cancelled', 'No passkey was created: the request was cancelled or timed out.']
        : [
            'passkey_cancelled',
            'No passkey was used: the request was cancelled, timed out, or found no match.',
          ];
    case 'InvalidStateError':
      return ceremony === 'registration'
        ? ['passkey_already_registered', 'This device already has a passkey for this account.']
        : ['passkey_failed', 'The browser could not use a passkey.'];
    case 'NotSupportedError':
      return ['passkeys_not_supported', 'This browser or device does not support the passkeys used here.'];
    case 'ConstraintError':
      return [
        'authenticator_not_suitable',
        'This device cannot store the kind of passkey that is needed here.',
      ];
    case 'SecurityError':
      return ['origin_not_allowed', 'Passkeys cannot be used at this web address.'];
    case 'AbortError':
      return ['ceremony_aborted', 'The passkey request was ended before it was answered.'];
    case 'OperationError':
      return ['ceremony_in_progress', 'Another passkey request is still open.'];
    default:
      return ['passkey_failed', 'The browser could not complete the passkey request.'];
  }
}
