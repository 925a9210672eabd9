// The two endpoints of the example server.

/** The example server refused; `message` is its own sentence for people. */
export class ServerError extends Error {
  override readonly name = 'ServerError';

  /** @param statusCode The HTTP status, or undefined when the server could not be reached. */
  constructor(
    readonly statusCode: number | undefined,
    message: string,
  ) {
    super(message);
  }
}

export class ExampleServer {
  constructor(readonly url: string) {}

  /** Confirms a fresh sign-up, in place of the code that a real pool would mail. */
  async confirmSignUp(email: string): Promise<void> {
    await this.#post('/signup/confirm', { body: JSON.stringify({ email }) });
  }

  /** @returns the register transaction for the token's user. */
  async addPasskey(accessToken: string): Promise<string> {
    const { transactionId } = await this.#post('/users/add-passkey', {
      headers: { Authorization: `Bearer ${accessToken}` },
    });
    if (typeof transactionId !== 'string' || transactionId === '') {
      throw new ServerError(200, 'The example server answered without a transaction.');
    }
    return transactionId;
  }

  async #post(path: string, init: { headers?: object; body?: string }): Promise<Record<string, unknown>> {
    let response: Response;
    try {
      response = await fetch(this.url + path, {
        method: 'POST',
        ...init,
        headers: { 'Content-Type': 'application/json', ...init.headers },
        signal: AbortSignal.timeout(30_000),
      });
    } catch {
      throw new ServerError(undefined, `The example server at ${this.url} does not answer.`);
    }
    // A confirmation may come with an empty body, so only what is read is demanded.
    const answer: unknown = await response.json().catch(() => null);
    const body = typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
    if (!response.ok) {
      const text = body['error'];
      throw new ServerError(
        response.status,
        typeof text === 'string' ? text : 'The example server has a problem.',
      );
    }
    return body;
  }
}
