// Reading an access token for display. Nothing is verified here: the server that receives the token does that.

/** The claims of a Cognito access token, as far as this page explains them. */
export type Claims = Record<string, unknown>;

/** One line of the claims table. */
export interface ClaimRow {
  name: string;
  meaning: string;
  value: string;
}

const MEANINGS: Record<string, string> = {
  sub: 'the user; never changes',
  iss: 'the user pool that issued the token',
  scope: 'what the token allows',
  client_id: 'the app client it was issued to',
  token_use: 'the kind of token',
  username: 'the user’s name inside the pool',
  exp: 'when it expires',
  iat: 'when it was issued',
  auth_time: 'when the user signed in',
  jti: 'the token’s own id',
  origin_jti: 'the id of the sign-in it stems from',
  event_id: 'the sign-in event',
  version: 'the token’s format',
};

const TIMES = new Set(['exp', 'iat', 'auth_time']);

/** @returns the claims, or undefined when the text is not a JSON Web Token. */
export function readClaims(token: string): Claims | undefined {
  try {
    const payload = token.split('.')[1] ?? '';
    const binary = atob(payload.replaceAll('-', '+').replaceAll('_', '/'));
    const json = new TextDecoder().decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
    const claims: unknown = JSON.parse(json);
    return typeof claims === 'object' && claims !== null ? (claims as Claims) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the token is past its `exp`; one without it counts as expired. */
export function isExpired(claims: Claims, nowMs: number): boolean {
  return typeof claims['exp'] !== 'number' || claims['exp'] * 1000 <= nowMs;
}

/** All claims, the explained ones first and in the order of interest. */
export function claimRows(claims: Claims): ClaimRow[] {
  const order = Object.keys(MEANINGS);
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return Object.entries(claims)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, value]) => ({ name, meaning: MEANINGS[name] ?? '', value: display(name, value) }));
}

function display(name: string, value: unknown): string {
  if (TIMES.has(name) && typeof value === 'number') {
    return new Date(value * 1000).toLocaleString(undefined, { dateStyle: 'long', timeStyle: 'medium' });
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}
