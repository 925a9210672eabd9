// The four calls to the service, and the translation of whatever comes back into a value or a PassageError.
// Nothing here knows about navigator.credentials.

import { follow } from './abort.js';
import { invalidArgument, PassageError } from './errors.js';

/** Sent with every call so that an operator can see which clients are about. */
const VERSION_HEADER = '@claviger/passage-flex 0.1.0';
/** The longest a timer can wait; more would fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The service's answer to a start call. `Options` is WebAuthn's JSON form of the options. */
export interface Started<Options> {
  handshakeId: string;
  publicKey: Options;
  /** The HTTP status, for an error about these options. */
  statusCode: number;
}

/** A success of the service, which is not yet known to be of the promised shape. */
interface Answer {
  statusCode: number;
  members: Record<string, unknown>;
}

/** What a finish call sends besides the transaction: the handshake it closes and the authenticator's response. */
export interface Finish {
  handshakeId: string;
  transactionId?: string | undefined;
  response: object;
}

interface Call {
  path: string;
  body: object;
  signal?: AbortSignal;
  /** Whether sending the call twice does no harm. A start makes a new handshake; a finish spends one. */
  isRepeatable: boolean;
}

/** A client of one app's ceremony endpoints. */
export class Api {
  readonly #url: string;
  readonly #timeoutMs: number;

  /** @throws PassageError `invalid_argument` when a setting cannot work. */
  constructor(baseUrl: string, appId: string, timeoutMs: number) {
    if (typeof appId !== 'string' || appId === '') throw invalidArgument('An app id is needed.');
    if (typeof baseUrl !== 'string' || baseUrl === '') throw invalidArgument('baseUrl must be an address.');
    if (!(typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX)) {
      throw invalidArgument(`timeoutMs must be a number, more than 0 and at most ${TIMEOUT_MS_MAX}.`);
    }
    this.#url = `${baseUrl.replace(/\/+$/, '')}/apps/${segment(appId)}`;
    this.#timeoutMs = timeoutMs;
  }

  /** @param mediation What the browser will be asked for; the service has to know before. */
  startRegistration(
    transactionId: string,
    authenticatorAttachment: string,
    mediation: 'conditional' | undefined,
    signal: AbortSignal,
  ): Promise<Started<PublicKeyCredentialCreationOptionsJSON>> {
    return this.#start('register', signal, {
      transaction_id: transactionId,
      authenticator_attachment: authenticatorAttachment,
      mediation,
    });
  }

  startAuthentication(
    transactionId: string | undefined,
    signal: AbortSignal,
  ): Promise<Started<PublicKeyCredentialRequestOptionsJSON>> {
    return this.#start('authenticate', signal, { transaction_id: transactionId });
  }

  finishRegistration(finish: Finish): Promise<string> {
    return this.#finish('register', finish);
  }

  finishAuthentication(finish: Finish): Promise<string> {
    return this.#finish('authenticate', finish);
  }

  async #start<Options>(kind: string, signal: AbortSignal, body: object): Promise<Started<Options>> {
    const path = `/${kind}/transactions/webauthn/start`;
    const { statusCode, members } = await this.#post({ path, body, signal, isRepeatable: true });
    const handshake = asObject(members['handshake']);
    const publicKey = asObject(asObject(handshake?.['challenge'])?.['publicKey']);
    const handshakeId = handshake?.['id'];
    if (typeof handshakeId !== 'string' || !publicKey) throw invalidResponse(statusCode);
    return { handshakeId, publicKey: publicKey as Options, statusCode };
  }

  async #finish(kind: string, { handshakeId, transactionId, response }: Finish): Promise<string> {
    const path = `/${kind}/transactions/webauthn/finish`;
    const body = { handshake_id: handshakeId, transaction_id: transactionId, handshake_response: response };
    const { statusCode, members } = await this.#post({ path, body, isRepeatable: false });
    const nonce = members['nonce'];
    if (typeof nonce !== 'string' || nonce === '') throw invalidResponse(statusCode);
    return nonce;
  }

  async #post(call: Call): Promise<Answer> {
    try {
      return await this.#send(call);
    } catch (error) {
      // A connection that died while idle is the usual network error; one more try costs nothing where it is safe.
      const isWorthRepeating = error instanceof PassageError && error.code === 'network_error';
      if (!call.isRepeatable || !isWorthRepeating) throw error;
      return this.#send(call);
    }
  }

  async #send({ path, body, signal }: Call): Promise<Answer> {
    const { controller, release } = follow(signal);
    const timer = setTimeout(() => controller.abort(timedOut()), this.#timeoutMs);

    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#url + path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Passage-Flex-Version': VERSION_HEADER },
        body: JSON.stringify(body),
        // The app id and the transaction are the whole authority; a cookie would only add cross-site trouble.
        credentials: 'omit',
        signal: controller.signal,
      });
      text = await response.text();
    } catch (error) {
      if (controller.signal.reason instanceof PassageError) throw controller.signal.reason;
      throw new PassageError('network_error', 'The passkey service could not be reached.', { cause: error });
    } finally {
      clearTimeout(timer);
      release();
    }

    // Aborted between the answer and here: the caller must not go on to prompt a person who moved on.
    if (signal?.aborted) throw signal.reason;
    const answer = asObject(parse(text));
    if (!response.ok) throw refusal(response, answer);
    if (!answer) throw invalidResponse(response.status);
    return { statusCode: response.status, members: answer };
  }
}

/** The app id as one segment of an address. `.` and `..` cannot be written as one: a URL resolves them. */
function segment(appId: string): string {
  try {
    if (appId !== '.' && appId !== '..') return encodeURIComponent(appId);
  } catch {
    // Said below: half of a character pair has no place in an address either.
  }
  throw invalidArgument('This is no app id.');
}

/** The service's code at an address that none of its calls has. */
const NO_SUCH_ADDRESS = 'not_found';

function refusal(
  { status: statusCode, headers }: Response,
  answer: Record<string, unknown> | undefined,
): PassageError {
  const code = answer?.['code'];
  const isTold = typeof code === 'string' && code !== '';
  // By the service or by whatever else is there: neither says anything of a transaction.
  if (code === NO_SUCH_ADDRESS || (statusCode === 404 && !isTold)) {
    const message =
      'The passkey service is not at the address this page has for it: baseUrl should end in /v1.';
    return new PassageError('invalid_response', message, { statusCode });
  }
  const text = answer?.['error'];
  const isServer = statusCode >= 500;
  const fallback = isServer
    ? 'The passkey service has a problem. Please try again later.'
    : 'The passkey service refused the request.';
  return new PassageError(
    isTold ? code : isServer ? 'internal_server_error' : 'invalid_response',
    typeof text === 'string' && text !== '' ? text : fallback,
    { statusCode, retryAfterMs: readRetryAfter(headers.get('Retry-After')) },
  );
}

/** Seconds only: the other form, a date, would need two clocks that agree. */
function readRetryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,9}$/.test(header) ? Number(header) * 1000 : undefined;
}

function timedOut(): PassageError {
  return new PassageError('timeout', 'The passkey service did not answer in time.');
}

function invalidResponse(statusCode: number): PassageError {
  return new PassageError('invalid_response', 'The passkey service gave an answer that makes no sense.', {
    statusCode,
  });
}

/** The contract takes null for absent; the browser's option dictionaries do not. So nulls stop here. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown) => value ?? undefined);
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}
