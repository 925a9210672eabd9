// The browser's conversation with the user pool, through the AWS SDK. No credentials: every call here is public or
// proven by the access token.

import {
  CognitoIdentityProviderClient,
  GlobalSignOutCommand,
  InitiateAuthCommand,
  RespondToAuthChallengeCommand,
  SignUpCommand,
  type AuthenticationResultType,
} from '@aws-sdk/client-cognito-identity-provider';
import type { Settings } from './settings.js';

/** What proving a passkey takes: a transaction of the passkey service in, a nonce out. */
type ProvePasskey = (transactionId: string) => Promise<string>;

/** The pool answered without an error and without what was asked for. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
}

export class Pool {
  readonly #client: CognitoIdentityProviderClient;
  readonly #appClientId: string;

  constructor({ region, poolEndpoint, appClientId }: Settings) {
    this.#appClientId = appClientId;
    this.#client = new CognitoIdentityProviderClient({
      region,
      ...(poolEndpoint && { endpoint: poolEndpoint }),
      // A Session and a sign-up work once. A silent second try after a lost answer would report the wrong failure.
      maxAttempts: 1,
      requestHandler: { requestTimeout: 30_000 },
    });
  }

  async signUp(email: string, password: string): Promise<void> {
    await this.#client.send(
      new SignUpCommand({
        ClientId: this.#appClientId,
        Username: email,
        Password: password,
        UserAttributes: [{ Name: 'email', Value: email }],
      }),
    );
  }

  /** @returns the access token. */
  async signInWithPassword(email: string, password: string): Promise<string> {
    const { AuthenticationResult } = await this.#client.send(
      new InitiateAuthCommand({
        ClientId: this.#appClientId,
        AuthFlow: 'USER_PASSWORD_AUTH',
        AuthParameters: { USERNAME: email, PASSWORD: password },
      }),
    );
    return accessToken(AuthenticationResult);
  }

  /**
   * Custom authentication: the pool's triggers make a transaction, the person proves a passkey, the triggers
   * redeem the nonce.
   *
   * @returns the access token.
   */
  async signInWithPasskey(email: string, provePasskey: ProvePasskey): Promise<string> {
    const { ChallengeParameters, Session } = await this.#client.send(
      new InitiateAuthCommand({
        ClientId: this.#appClientId,
        AuthFlow: 'CUSTOM_AUTH',
        AuthParameters: { USERNAME: email },
      }),
    );
    const transactionId = ChallengeParameters?.['passageTransactionId'];
    if (!transactionId) throw new UnexpectedAnswer('The challenge names no passkey transaction.');
    const nonce = await provePasskey(transactionId);
    const { AuthenticationResult } = await this.#client.send(
      new RespondToAuthChallengeCommand({
        ClientId: this.#appClientId,
        Session,
        ChallengeName: 'CUSTOM_CHALLENGE',
        ChallengeResponses: { USERNAME: email, ANSWER: nonce },
      }),
    );
    return accessToken(AuthenticationResult);
  }

  /** Ends every session of the user, not only this one. */
  async signOut(accessToken: string): Promise<void> {
    await this.#client.send(new GlobalSignOutCommand({ AccessToken: accessToken }));
  }
}

function accessToken(result: AuthenticationResultType | undefined): string {
  if (!result?.AccessToken) throw new UnexpectedAnswer('The pool issued no access token.');
  return result.AccessToken;
}
