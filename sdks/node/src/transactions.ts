// Transactions and nonces: the part `auth` of the client. How a request travels is in client.ts.

import { type Client, required } from './client';

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
   * @throws PassageError `invalid_nonce` if it is unknown, expired or was redeemed before, `invalid_argument` if it is
   *   empty; nothing is sent then. Else what the service answered. After `timeout` or `network_error` the nonce may have
   *   been redeemed: let the user start over, do not send it again.
   */
  async verifyNonce(nonce: string): Promise<string> {
    const body = { nonce: required('nonce', nonce) };
    const answer = await this.#client.post('/authenticate/verify', body);
    return answer.id('external_id');
  }
}
