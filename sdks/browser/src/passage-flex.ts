// The class that applications hold: settings once, then ceremonies.

import { Api } from './api.js';
import { authenticate, type AuthenticateOptions } from './authenticate.js';
import { readObject } from './errors.js';
import { register, type RegisterOptions } from './register.js';
import {
  signalAccepted,
  signalRevoked,
  signalUserDetails,
  type AcceptedPasskeys,
  type RevokedPasskey,
  type UserDetails,
} from './signals.js';
import {
  hasConditionalCreate,
  hasConditionalMediation,
  hasPlatformAuthenticator,
  isWebAuthnAvailable,
} from './support.js';

export interface PassageFlexOptions {
  /** Where the service lives, up to and including `/v1`. Default: `/v1` on the page's own origin. */
  baseUrl?: string | undefined;
  /**
   * How long one call to the service may take, in milliseconds: more than 0, at most 2 147 483 647. The person's own time
   * is not counted. Default: 15 000.
   */
  timeoutMs?: number | undefined;
  /** The app's RP ID, for the signals. Default: the page's host name, which it is unless you chose a parent domain. */
  rpId?: string | undefined;
}

/** Ceremonies of one app. Every method that rejects rejects with a `PassageError`. */
export interface Passkey {
  /**
   * Creates a passkey for the user of a register transaction.
   *
   * Call it from a click. The promise gives a nonce: hand it to your server, which redeems it once, within minutes.
   * With `isConditional` it is called without a click, right after a sign-in by password, and shows no prompt.
   */
  register(transactionId: string, options?: RegisterOptions | null): Promise<string>;
  /**
   * Asks for a passkey: of the transaction's user, or of any user of the app if there is no transaction.
   *
   * The promise gives a nonce, as for `register`. With `isConditionalMediation` it may stay pending as long as the
   * page lives: it makes way for every other call, and waits on when that is through. Only its `signal` ends it, or a
   * newer call with `isConditionalMediation`.
   */
  authenticate(options?: AuthenticateOptions): Promise<string>;
  /** Whether `register` with its default options can work: this device can hold a passkey itself. */
  canRegisterPasskey(): Promise<boolean>;
  /** Whether `authenticate` can work: this device, a phone or a security key may hold the passkey. */
  canAuthenticateWithPasskey(): Promise<boolean>;
  /** Whether `authenticate` with `isConditionalMediation` can work. */
  canUseConditionalMediation(): Promise<boolean>;
  /** Whether `register` with `isConditional` can work. */
  canUseConditionalCreate(): Promise<boolean>;
  /**
   * Tells the authenticator that a passkey was revoked, so that it is not offered any more. Call it after your server
   * revoked the device. Gives false where the browser has no such signal.
   */
  signalRevoked(passkey: RevokedPasskey): Promise<boolean>;
  /**
   * Tells the authenticator which passkeys of a user the service holds; it hides or removes every other. Call it when the
   * user is signed in. Gives false where the browser has no such signal.
   */
  signalAccepted(passkeys: AcceptedPasskeys): Promise<boolean>;
  /**
   * Tells the authenticator how a user is called now; the passkeys' display names follow. Gives false where the browser
   * has no such signal.
   */
  signalUserDetails(details: UserDetails): Promise<boolean>;
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

  /** @throws PassageError `invalid_argument` when a setting cannot work, such as an empty app id. */
  constructor(appId: string, options: PassageFlexOptions = {}) {
    const { baseUrl = '/v1', timeoutMs = 15_000, rpId } = readObject('options', options);
    const api = new Api(baseUrl, appId, timeoutMs);
    // Asked at each call: there is no location where a server renders the page, and no signal either.
    const rp = () => rpId ?? globalThis.location?.hostname ?? '';
    this.passkey = {
      register: (transactionId, options) => register(api, transactionId, options),
      authenticate: (options) => authenticate(api, options),
      canRegisterPasskey: hasPlatformAuthenticator,
      canAuthenticateWithPasskey: async () => isWebAuthnAvailable(),
      canUseConditionalMediation: hasConditionalMediation,
      canUseConditionalCreate: hasConditionalCreate,
      signalRevoked: async (passkey) => signalRevoked(rp(), passkey),
      signalAccepted: async (passkeys) => signalAccepted(rp(), passkeys),
      signalUserDetails: async (details) => signalUserDetails(rp(), details),
    };
  }
}
