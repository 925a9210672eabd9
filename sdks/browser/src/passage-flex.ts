// The class that applications hold: settings once, then ceremonies.

import { Api } from './api.js';
import { authenticate, type AuthenticateOptions } from './authenticate.js';
import { PassageError } from './errors.js';
import { register, type RegisterOptions } from './register.js';
import { hasConditionalMediation, hasPlatformAuthenticator, isWebAuthnAvailable } from './support.js';

export interface PassageFlexOptions {
  /** Where the service lives, up to and including `/v1`. Default: `/v1` on the page's own origin. */
  baseUrl?: string;
  /** How long one call to the service may take, in milliseconds. The person's own time is not counted. Default: 15 000. */
  timeoutMs?: number;
}

/** Ceremonies of one app. Every method that rejects rejects with a `PassageError`. */
export interface Passkey {
  /**
   * Creates a passkey for the user of a register transaction.
   *
   * Call it from a click. The promise gives a nonce: hand it to your server, which redeems it once, within minutes.
   */
  register(transactionId: string, options?: RegisterOptions): Promise<string>;
  /**
   * Asks for a passkey: of the transaction's user, or of any user of the app if there is no transaction.
   *
   * The promise gives a nonce, as for `register`. With `isConditionalMediation` it may stay pending as long as the
   * page lives; any later `register` or `authenticate` makes it reject with `ceremony_aborted`.
   */
  authenticate(options?: AuthenticateOptions): Promise<string>;
  /** Whether `register` with its default options can work: this device can hold a passkey itself. */
  canRegisterPasskey(): Promise<boolean>;
  /** Whether `authenticate` can work: this device, a phone or a security key may hold the passkey. */
  canAuthenticateWithPasskey(): Promise<boolean>;
  /** Whether `authenticate` with `isConditionalMediation` can work. */
  canUseConditionalMediation(): Promise<boolean>;
}

/**
 * Passkeys for one app of a Passkey Flex service.
 *
 * @example
 * const passage = new PassageFlex('your app id', { baseUrl: 'https://passkeys.example.com/v1' });
 * const nonce = await passage.passkey.authenticate({ transactionId });
 */
export class PassageFlex {
  readonly passkey: Passkey;

  /** @throws PassageError `invalid_argument` when the app id is empty. */
  constructor(appId: string, { baseUrl = '/v1', timeoutMs = 15_000 }: PassageFlexOptions = {}) {
    if (typeof appId !== 'string' || appId === '') {
      throw new PassageError('invalid_argument', 'An app id is needed.');
    }
    const api = new Api(baseUrl, appId, timeoutMs);
    this.passkey = {
      register: (transactionId, options) => register(api, transactionId, options),
      authenticate: (options) => authenticate(api, options),
      canRegisterPasskey: hasPlatformAuthenticator,
      canAuthenticateWithPasskey: async () => isWebAuthnAvailable(),
      canUseConditionalMediation: hasConditionalMediation,
    };
  }
}
