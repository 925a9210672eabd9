// The one error this package throws, and how the service's refusal becomes one. Sending and receiving is in client.ts.

/**
 * The codes a program may branch on, under Passage's names. A newer service may answer others, so the type stays open.
 *
 * @example
 * if (error instanceof PassageError && error.errorCode === PassageErrorCode.UserHasNoPasskeys) offerPassword();
 */
export const PassageErrorCode = {
  /** The service did not understand the request; the message says why. */
  InvalidRequest: 'invalid_request',
  /** The API key is unknown, deleted, or of another app. */
  InvalidAccessToken: 'invalid_access_token',
  /** Passage's name for `InvalidAccessToken`. */
  AccessToken: 'invalid_access_token',
  /** The nonce is unknown, expired or was redeemed before. */
  InvalidNonce: 'invalid_nonce',
  /** Passage's name for `InvalidNonce`. */
  Nonce: 'invalid_nonce',
  /** The user is deactivated, or the app disabled. */
  CannotCreateTransaction: 'cannot_create_transaction',
  /** The app does not allow this call. */
  OperationNotAllowed: 'operation_not_allowed',
  AppNotFound: 'app_not_found',
  DeviceNotFound: 'device_not_found',
  UserNotFound: 'user_not_found',
  /** The user is known and has no device. */
  UserHasNoPasskeys: 'user_has_no_passkeys',
  /** Too many requests; see `retryAfterMs`. */
  RateLimitExceeded: 'rate_limit_exceeded',
  /** The service failed, or a proxy did not get through to it. It may have acted. */
  InternalServerError: 'internal_server_error',

  /** This package's own: an argument or setting that cannot be right. Nothing was sent. */
  InvalidArgument: 'invalid_argument',
  /** This package's own: the answer is not that of a Flex API. Usually a base URL that lacks `/v1`, or a proxy. */
  InvalidResponse: 'invalid_response',
  /** This package's own: the service was not reached, or the connection broke. After the latter it may have acted. */
  NetworkError: 'network_error',
  /** This package's own: no answer in time. Whether the service acted is not known. */
  Timeout: 'timeout',
} as const;

export type PassageErrorCode = (typeof PassageErrorCode)[keyof typeof PassageErrorCode] | (string & {});

interface PassageErrorDetails {
  statusCode?: number | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/**
 * What every call rejects with, always.
 *
 * @example
 * try {
 *   await passage.auth.createAuthenticateTransaction(externalId);
 * } catch (error) {
 *   if (!(error instanceof PassageError)) throw error;
 *   console.error(error.statusCode, error.errorCode, error.message);
 * }
 */
export class PassageError extends Error {
  override readonly name = 'PassageError';
  /** The HTTP status, when there was an answer. */
  readonly statusCode: number | undefined;
  /** The service's code, or one of this package's own. */
  readonly errorCode: PassageErrorCode;
  /** How long the service asked to wait, in milliseconds, if it said so in seconds. */
  readonly retryAfterMs: number | undefined;

  constructor(errorCode: PassageErrorCode, message: string, details: PassageErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.errorCode = errorCode;
    this.statusCode = details.statusCode;
    this.retryAfterMs = details.retryAfterMs;
  }
}

export function invalidArgument(message: string): PassageError {
  return new PassageError(PassageErrorCode.InvalidArgument, message);
}

/** An answer that the contract does not have. The body is left out: it may be a proxy's whole page. */
export function invalidResponse(statusCode: number): PassageError {
  return new PassageError(
    PassageErrorCode.InvalidResponse,
    `Unexpected answer with HTTP status ${statusCode}: is baseUrl right, and does it end in /v1?`,
    { statusCode },
  );
}

/** The service's code at an address that none of its calls has. It says nothing of a user or device, but of the base URL. */
const NO_SUCH_ADDRESS = 'not_found';

/**
 * The error for an answer that is not a success. The `code` in its body decides. Without one the status tells at least a
 * service in trouble, perhaps behind a proxy with a page of its own, from an address that is not the service's.
 */
export function refusal(statusCode: number, body: unknown, retryAfter: string | null): PassageError {
  const { code, error } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (code === NO_SUCH_ADDRESS) return invalidResponse(statusCode);
  const isTold = typeof code === 'string' && code !== '';
  if (!isTold && statusCode < 500) return invalidResponse(statusCode);
  const retryAfterMs = /^\d{1,9}$/.test(retryAfter ?? '') ? Number(retryAfter) * 1000 : undefined;
  return new PassageError(
    isTold ? code : PassageErrorCode.InternalServerError,
    typeof error === 'string' && error !== ''
      ? error
      : `The passkey service answered HTTP status ${statusCode}.`,
    { statusCode, retryAfterMs },
  );
}
