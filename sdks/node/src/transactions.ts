// Transactions and nonces: the part `auth` of the client. How a request travels is in client.ts.

import type { Answer } from './answer';
import { type Client, required } from './client';

/** The kind of a ceremony. A newer service may know others. */
export const CeremonyType = { Register: 'register', Authenticate: 'authenticate' } as const;
export type CeremonyType = (typeof CeremonyType)[keyof typeof CeremonyType] | (string & {});

/** A finished ceremony, as its nonce proves it. */
export interface VerifiedNonce {
  /** Your own identifier of the user who did it. */
  externalId: string;
  type: CeremonyType;
  /** The transaction it was permitted by; null if it had none, so that anybody of the app may have done it. */
  transactionId: string | null;
  /** The device that was registered or used: its `id`, not its `credId`. */
  deviceId: string;
  /** Whether the authenticator made sure of the person (fingerprint, face, PIN), and not only that somebody was there. */
  userVerified: boolean;
  /** When it was finished, by the service's clock. */
  authenticatedAt: Date;
}

/** Makes transactions and redeems nonces. */
export class Auth {
  readonly #client: Client;

  /** @internal Found at `PassageFlex.auth`. */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * Permits one passkey registration and gives the transaction's id, to be handed to the browser or app.
   *
   * @param externalId Your own unchanging identifier of the user, 1 to 256 bytes. A user who is not known yet is created
   *   when the ceremony starts.
   * @param passkeyDisplayName What the user's authenticator shows for the passkey, 1 to 128 characters. It cannot be
   *   changed later.
   * @throws PassageError `invalid_argument` if a value is empty; nothing is sent then. Else what the service answered.
   */
  async createRegisterTransaction(externalId: string, passkeyDisplayName: string): Promise<string> {
    const body = {
      external_id: required('externalId', externalId),
      passkey_display_name: required('passkeyDisplayName', passkeyDisplayName),
    };
    const answer = await this.#client.post('/transactions/register', body);
    return answer.id('transaction_id');
  }

  /**
   * Permits one authentication of a known user and gives the transaction's id, to be handed to the browser or app.
   *
   * @throws PassageError `user_not_found` if no user has this external id, `user_has_no_passkeys` if the user has none,
   *   `invalid_argument` if the value is empty; nothing is sent then. Else what the service answered.
   */
  async createAuthenticateTransaction(externalId: string): Promise<string> {
    const body = { external_id: required('externalId', externalId) };
    const answer = await this.#client.post('/transactions/authenticate', body);
    return answer.id('transaction_id');
  }

  /**
   * Redeems the nonce of a finished ceremony and gives the external id of the user who did it.
   *
   * A nonce is good for one exchange, of whatever ceremony and whatever user of the app. A server that already knows who
   * is signing in (a second step, a step-up) must compare the external id with that user: the nonce of somebody else
   * verifies just as well.
   *
   * `verifyNonceDetails` says more.
   *
   * @throws PassageError `invalid_nonce` if it is unknown, expired or was redeemed before, `invalid_argument` if it is
   *   empty; nothing is sent then. Else what the service answered. After `timeout` or `network_error` the nonce may have
   *   been redeemed: let the user start over, do not send it again.
   */
  async verifyNonce(nonce: string): Promise<string> {
    return (await this.#redeem(nonce)).id('external_id');
  }

  /**
   * Redeems a nonce as `verifyNonce` does, and gives all that it proves: enough to insist on one transaction, on user
   * verification and on freshness, as a step-up must.
   *
   * @throws PassageError as for `verifyNonce`. `invalid_response` from a service that answers with the external id only, as
   *   Passage's did; the nonce is redeemed then.
   * @example
   * const proof = await passage.auth.verifyNonceDetails(nonce);
   * if (proof.transactionId !== session.stepUp || proof.externalId !== session.userId || !proof.userVerified) refuse();
   */
  async verifyNonceDetails(nonce: string): Promise<VerifiedNonce> {
    const answer = await this.#redeem(nonce);
    return {
      externalId: answer.id('external_id'),
      type: answer.id('type'),
      transactionId: answer.idOrNull('transaction_id'),
      deviceId: answer.id('device_id'),
      userVerified: answer.flag('user_verified'),
      authenticatedAt: answer.date('authenticated_at'),
    };
  }

  #redeem(nonce: string): Promise<Answer> {
    return this.#client.post('/authenticate/verify', { nonce: required('nonce', nonce) });
  }
}
