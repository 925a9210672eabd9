// A browser for Node: the globals that the package looks up at each call, answering what a test tells them to.

import { afterEach } from 'node:test';

/** One request as the service would see it. */
export interface Sent {
  url: string;
  method: string | undefined;
  headers: Headers;
  credentials: string | undefined;
  body: Record<string, any>;
}

type Answer = (sent: Sent, signal: AbortSignal) => Response | Promise<Response>;
type Prompt = (options: any) => Promise<unknown>;

/** What the package did, and what it is to be answered. */
export class FakeBrowser {
  readonly sent: Sent[] = [];
  readonly prompts: any[] = [];
  /** How many of the prompts are unanswered. */
  pending = 0;
  /** The signals to the authenticator, by name and options. */
  readonly signals: [name: string, options: any][] = [];
  #answer: Answer = () => json(500, {});
  #prompt: Prompt = async () => null;
  #signal: () => Promise<void> = async () => {};

  constructor() {
    define('fetch', async (url: string, init: RequestInit) => {
      const { method, credentials } = init;
      const sent = {
        url,
        method,
        headers: new Headers(init.headers),
        credentials,
        body: JSON.parse(init.body as string),
      };
      this.sent.push(sent);
      return this.#answer(sent, init.signal!);
    });
    const prompt = async (options: unknown) => {
      this.prompts.push(options);
      this.pending += 1;
      try {
        return await this.#prompt(options);
      } finally {
        this.pending -= 1;
      }
    };
    define('navigator', { credentials: { create: prompt, get: prompt } });
    define('location', { hostname: 'login.example.com' });
    this.features({ platform: true, conditional: true });
  }

  /** Everything the service answers from now on. */
  service(answer: Answer): this {
    this.#answer = answer;
    return this;
  }

  /** What the authenticator does from now on, for both ceremonies. */
  authenticator(prompt: Prompt): this {
    this.#prompt = prompt;
    return this;
  }

  /** What the browser does with a signal from now on. */
  taking(signal: () => Promise<void>): this {
    this.#signal = signal;
    return this;
  }

  features({ platform, conditional }: { platform: boolean; conditional: boolean }): this {
    const take = (name: string) => (options: unknown) => {
      this.signals.push([name, options]);
      return this.#signal();
    };
    define(
      'PublicKeyCredential',
      class {
        static isUserVerifyingPlatformAuthenticatorAvailable = async () => platform;
        static isConditionalMediationAvailable = async () => conditional;
        static getClientCapabilities = async () => ({ conditionalCreate: conditional });
        static signalUnknownCredential = take('signalUnknownCredential');
        static signalAllAcceptedCredentials = take('signalAllAcceptedCredentials');
        static signalCurrentUserDetails = take('signalCurrentUserDetails');
      },
    );
    return this;
  }

  paths(): string[] {
    return this.sent.map(({ url }) => new URL(url).pathname);
  }
}

/** Removes a global for the rest of a test. */
export function remove(name: string): void {
  define(name, undefined);
}

export function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
}

export function bytes(text: string): ArrayBuffer {
  return new Uint8Array([...text].map((character) => character.charCodeAt(0))).buffer;
}

export function text(buffer: ArrayBuffer): string {
  return String.fromCharCode(...new Uint8Array(buffer));
}

/** An authenticator that waits for the person until the page gives up. */
export function waitsForever({ signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

/** Makes the authenticator wait for ever, and tells when it does. */
export function prompted(browser: FakeBrowser): Promise<void> {
  return new Promise((resolve) => {
    browser.authenticator((options) => {
      resolve();
      return waitsForever(options);
    });
  });
}

const original = new Map<string, PropertyDescriptor | undefined>();

function define(name: string, value: unknown): void {
  if (!original.has(name)) original.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

afterEach(() => {
  for (const [name, descriptor] of original) {
    if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    else Reflect.deleteProperty(globalThis, name);
  }
  original.clear();
});
