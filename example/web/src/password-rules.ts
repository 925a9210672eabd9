// The default password policy of a user pool, checked while a person types. The pool has the last word.

export interface PasswordRule {
  id: string;
  /** What the rule asks for, completing "The password needs …". */
  need: string;
  isMet: (password: string) => boolean;
}

/** The symbols that Amazon Cognito counts as symbols. */
const SYMBOL = /[\^$*.[\]{}()?"!@#%&/\\,><':;|_~`=+-]/;

export const PASSWORD_RULES: PasswordRule[] = [
  { id: 'length', need: '8 characters', isMet: (password) => [...password].length >= 8 },
  { id: 'upper', need: 'an uppercase letter', isMet: (password) => /[A-Z]/.test(password) },
  { id: 'lower', need: 'a lowercase letter', isMet: (password) => /[a-z]/.test(password) },
  { id: 'number', need: 'a number', isMet: (password) => /[0-9]/.test(password) },
  { id: 'symbol', need: 'a symbol', isMet: (password) => SYMBOL.test(password) },
];

/** One sentence naming what is still missing, or undefined when nothing is. */
export function missingFrom(password: string): string | undefined {
  if (/\s/.test(password)) return 'A password cannot contain spaces.';
  const needs = PASSWORD_RULES.filter(({ isMet }) => !isMet(password)).map(({ need }) => need);
  if (needs.length === 0) return undefined;
  return `The password still needs ${new Intl.ListFormat('en').format(needs)}.`;
}
