import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingFrom } from '../src/password-rules.js';

test('a password that meets every rule misses nothing', () => {
  for (const password of ['Correct-Horse7', 'aA1!aaaa', 'aA1]aaaa', 'aA1\\aaaa', 'Ünïcödé-A1']) {
    assert.equal(missingFrom(password), undefined, password);
  }
});

test('what is missing is named', () => {
  assert.equal(
    missingFrom(''),
    'The password still needs 8 characters, an uppercase letter, a lowercase letter, a number, and a symbol.',
  );
  assert.equal(missingFrom('Password1'), 'The password still needs a symbol.');
  assert.equal(missingFrom('aA1!'), 'The password still needs 8 characters.');
  assert.equal(missingFrom('correct-horse'), 'The password still needs an uppercase letter and a number.');
});

test('a space is refused, wherever it is', () => {
  assert.equal(missingFrom('Correct Horse-7'), 'A password cannot contain spaces.');
});
