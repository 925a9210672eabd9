import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimRows, isExpired, readClaims } from '../src/access-token.js';

const token = (claims: unknown) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`;

test('the claims of a token can be read, whatever letters they hold', () => {
  assert.deepEqual(readClaims(token({ username: 'Ånn ✓' })), { username: 'Ånn ✓' });
});

test('what is not a token has no claims', () => {
  for (const text of ['', 'a.b.c', 'a', token(null), token('text'), `h.${btoa('not JSON')}.s`]) {
    assert.equal(readClaims(text), undefined, text);
  }
});

test('a token is expired from the second of its exp on', () => {
  assert.equal(isExpired({ exp: 1000 }, 999_999), false);
  assert.equal(isExpired({ exp: 1000 }, 1_000_000), true);
  assert.equal(isExpired({}, 0), true);
});

test('the explained claims come first and times can be read', () => {
  const rows = claimRows({ zz: ['a', 1], exp: 1_790_000_000, token_use: 'access', sub: 'u', iss: 'i' });
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['sub', 'iss', 'token_use', 'exp', 'zz'],
  );
  assert.match(rows[3]!.value, /2026/);
  assert.equal(rows[4]!.value, '["a",1]');
});
