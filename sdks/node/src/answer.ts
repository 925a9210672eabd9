// What the service answered, taken apart with care: one member of the wrong shape makes the whole answer an
// `invalid_response`. What the members mean is in transactions.ts and users.ts.

import { invalidResponse } from './errors';

/** A successful answer, or a part of one. Members that nobody asks for are ignored. */
export class Answer {
  readonly #status: number;
  readonly #value: unknown;

  /** @param value What the JSON says; undefined if it was not JSON. */
  constructor(status: number, value: unknown) {
    this.#status = status;
    this.#value = value;
  }

  member(name: string): Answer {
    return this.#part(this.#get(name));
  }

  list(name: string): Answer[] {
    return this.#array(name).map((value) => this.#part(value));
  }

  texts(name: string): string[] {
    return this.#array(name).map((value) => (typeof value === 'string' ? value : this.refuse()));
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === 'string' ? value : this.refuse();
  }

  textOrNull(name: string): string | null {
    return this.#isAbsent(name) ? null : this.text(name);
  }

  /** An identifier: text that is not empty. */
  id(name: string): string {
    return this.text(name) || this.refuse();
  }

  idOrNull(name: string): string | null {
    return this.#isAbsent(name) ? null : this.id(name);
  }

  objectOrNull(name: string): object | null {
    if (this.#isAbsent(name)) return null;
    const value = this.#get(name);
    return typeof value === 'object' ? value : this.refuse();
  }

  flag(name: string): boolean {
    const value = this.#get(name);
    return typeof value === 'boolean' ? value : this.refuse();
  }

  count(name: string): number {
    const value = this.#get(name);
    return typeof value === 'number' ? value : this.refuse();
  }

  /** A time in RFC 3339. Digits beyond the millisecond are cut off. */
  date(name: string): Date {
    const date = new Date(this.text(name));
    return Number.isNaN(date.getTime()) ? this.refuse() : date;
  }

  /** For what only the caller can see is wrong. */
  refuse(): never {
    throw invalidResponse(this.#status);
  }

  #part(value: unknown): Answer {
    return new Answer(this.#status, value);
  }

  #array(name: string): unknown[] {
    const value = this.#get(name);
    return Array.isArray(value) ? value : this.refuse();
  }

  /** An omitted member and null are the same in the contract. */
  #isAbsent(name: string): boolean {
    return this.#get(name) === undefined || this.#get(name) === null;
  }

  #get(name: string): unknown {
    if (typeof this.#value !== 'object' || this.#value === null) this.refuse();
    return (this.#value as Record<string, unknown>)[name];
  }
}
