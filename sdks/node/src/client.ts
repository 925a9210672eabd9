// The client: its settings, and how one request travels. What can be asked is in transactions.ts and users.ts.

import { Answer } from './answer';
import { invalidArgument, PassageError, PassageErrorCode, refusal } from './errors';
import { Auth } from './transactions';
import { User } from './users';

/** Where `claviger dev` listens. */
const DEFAULT_BASE_URL = 'http://localhost:8082/v1';
const DEFAULT_TIMEOUT_MS = 10_000;
/** The longest a timer can wait; more would fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Sent with every call so that an operator can see which clients are about. */
const PRODUCT = 'claviger-flex-node 0.1.0';

export interface PassageConfig {
  /** The app, as it also stands in the browser. */
  appId: string;
  /** The app's API key. Keep it on the server. */
  apiKey: string;
  /**
   * Where the API is, version included: `https://host/v1`. Default: `http://localhost:8082/v1`, where `claviger dev`
   * listens. The API key travels in every request, so anything but `localhost` should be `https`.
   */
  baseUrl?: string | undefined;
  /** How long one call may take in all, in milliseconds: more than 0, at most 2 147 483 647. Default: 10 000. */
  timeoutMs?: number | undefined;
}

/**
 * The Passkey Flex service, for one app. Make one and keep it.
 *
 * @example
 * const passage = new PassageFlex({
 *   appId: process.env.PASSAGE_APP_ID,
 *   apiKey: process.env.PASSAGE_API_KEY,
 *   baseUrl: 'https://passkeys.example.com/v1',
 * });
 */
export class PassageFlex {
  /** Transactions and nonces. */
  readonly auth: Auth;
  /** Users and their devices. */
  readonly user: User;

  /** @throws PassageError `invalid_argument` when a setting cannot work. */
  constructor(config: PassageConfig) {
    const client = new Client(config);
    this.auth = new Auth(client);
    this.user = new User(client);
  }
}

/** Sends requests with the app's credentials, which stay in private members: printing or serializing shows nothing. */
export class Client {
  readonly #url: string;
  readonly #authorization: string;
  readonly #timeoutMs: number;

  constructor(config: PassageConfig) {
    if (typeof config !== 'object' || config === null) throw invalidArgument('appId and apiKey are required');
    const { baseUrl = DEFAULT_BASE_URL, timeoutMs = DEFAULT_TIMEOUT_MS } = config;
    const appId = required('appId', config.appId);
    const apiKey = required('apiKey', config.apiKey);
    // `fetch` would refuse such a header too, and print the key with its refusal.
    if (!/^[\x21-\x7e]+$/.test(apiKey)) throw invalidArgument('apiKey has a character no key can have');
    if (!(typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs <= TIMEOUT_MS_MAX)) {
      throw invalidArgument(`timeoutMs must be a number, more than 0 and at most ${TIMEOUT_MS_MAX}`);
    }
    this.#url = `${base(baseUrl)}/apps/${segment('appId', appId)}`;
    this.#authorization = `Bearer ${apiKey}`;
    this.#timeoutMs = timeoutMs;
  }

  /** @param path Begins with a slash; made of fixed text and of what `segment` gives. */
  get(path: string): Promise<Answer> {
    return this.#send('GET', path);
  }

  post(path: string, body: object): Promise<Answer> {
    return this.#send('POST', path, JSON.stringify(body));
  }

  delete(path: string): Promise<Answer> {
    return this.#send('DELETE', path);
  }

  /** Sends once. Making a transaction twice is waste, redeeming a nonce twice fails: a lost answer is the caller's to judge. */
  async #send(method: string, path: string, body?: string): Promise<Answer> {
    const headers: Record<string, string> = {
      Accept: 'application/json',
      Authorization: this.#authorization,
      'Passage-Version': PRODUCT,
    };
    if (body !== undefined) headers['Content-Type'] = 'application/json';

    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), this.#timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#url + path, {
        method,
        headers,
        // The service never redirects; following one would carry the request to wherever it points.
        redirect: 'manual',
        signal: controller.signal,
        ...(body !== undefined && { body }),
      });
      text = await response.text();
    } catch (cause) {
      throw controller.signal.aborted
        ? new PassageError(PassageErrorCode.Timeout, 'The passkey service did not answer in time.')
        : new PassageError(PassageErrorCode.NetworkError, 'The passkey service could not be reached.', {
            cause,
          });
    } finally {
      clearTimeout(timer);
    }

    if (!response.ok) throw refusal(response.status, parse(text), response.headers.get('Retry-After'));
    return new Answer(response.status, parse(text));
  }
}

/** The value, unless it is empty. The service would refuse it too; this saves the round trip and names the argument. */
export function required(name: string, value: unknown): string {
  if (typeof value !== 'string') throw invalidArgument(`${name} must be a string`);
  if (value === '') throw invalidArgument(`${name} is required`);
  return value;
}

/**
 * The id as one segment of an address, whatever it holds.
 *
 * `.` and `..` cannot be written as a segment at all: a URL resolves them, so the deletion of device `..` would become
 * that of its user.
 */
export function segment(name: string, id: string): string {
  if (id === '.' || id === '..') throw invalidArgument(`${name} cannot be "${id}"`);
  try {
    return encodeURIComponent(id);
  } catch {
    throw invalidArgument(`${name} is not well-formed text`);
  }
}

/** The base URL as it is put before a path, without slashes at its end. */
function base(baseUrl: string): string {
  try {
    const { href, protocol, username, password, search, hash } = new URL(baseUrl);
    if (/^https?:$/.test(protocol) && username + password + search + hash === '')
      return href.replace(/\/+$/, '');
  } catch {
    // Said below: what is no URL at all is told like one that cannot be used.
  }
  throw invalidArgument('baseUrl must be an http or https URL, without user name, query or fragment');
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
