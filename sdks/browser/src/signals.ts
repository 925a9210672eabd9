// What the authenticator is told between ceremonies, so that it stops offering what no longer works (WebAuthn Level 3,
// section 5.1.10). Nothing here reaches the service.
//
// Deliberately not here: a signal after a login that was refused. The service does not say why it refuses one, and a
// good passkey, of a user who is deactivated or with a signature that came too late, would be hidden as well.

import { runSignal } from './ceremony.js';
import { fromBase64url, toBase64url } from './encoding.js';
import { fromBrowser, invalidArgument, readObject } from './errors.js';
import { isWebAuthnAvailable } from './support.js';

/** A passkey that the service does not hold any more. */
export interface RevokedPasskey {
  /** The WebAuthn credential id, base64url: `cred_id` of the device that was revoked. */
  credentialId: string;
}

/** A user, by the service's own id; the authenticator knows it as the user handle. */
export interface SignalledUser {
  /** The id that the service gives the user: `id` in the management API, not your external id. */
  userId?: string;
  /** In the place of `userId`, base64url: for passkeys that were imported with another user handle. */
  userHandle?: string;
}

/** Every passkey that the service holds for a user. */
export interface AcceptedPasskeys extends SignalledUser {
  /**
   * The WebAuthn credential ids of all of the user's devices (`cred_id`), base64url. It must be all of them: the
   * authenticator hides or removes what is not in the list.
   */
  credentialIds: string[];
}

/** How a user is called now. */
export interface UserDetails extends SignalledUser {
  name: string;
  /** Default: `name`. */
  displayName?: string;
}

/** See `Passkey.signalRevoked`. */
export async function signalRevoked(rpId: string, passkey: RevokedPasskey): Promise<boolean> {
  const { credentialId } = readObject('The passkey', passkey);
  return signalUnknown(rpId, base64url('credentialId', credentialId));
}

/** Tells the authenticator that the service does not know a credential. */
export function signalUnknown(rpId: string, credentialId: string): Promise<boolean> {
  return tell('signalUnknownCredential', { rpId, credentialId });
}

/** See `Passkey.signalAccepted`. */
export async function signalAccepted(rpId: string, passkeys: AcceptedPasskeys): Promise<boolean> {
  const { credentialIds, ...user } = readObject('The passkeys', passkeys);
  if (!Array.isArray(credentialIds)) {
    throw invalidArgument('credentialIds must be a list.');
  }
  const allAcceptedCredentialIds = credentialIds.map((id) => base64url('credentialIds', id));
  return tell('signalAllAcceptedCredentials', {
    rpId,
    userId: userHandleOf(user),
    allAcceptedCredentialIds,
  });
}

/** See `Passkey.signalUserDetails`. */
export async function signalUserDetails(rpId: string, details: UserDetails): Promise<boolean> {
  const { name, displayName = name, ...user } = readObject('The details', details);
  if (typeof name !== 'string' || typeof displayName !== 'string') {
    throw invalidArgument('name and displayName must be texts.');
  }
  return tell('signalCurrentUserDetails', { rpId, userId: userHandleOf(user), name, displayName });
}

type Signal = 'signalUnknownCredential' | 'signalAllAcceptedCredentials' | 'signalCurrentUserDetails';

/** @returns whether the browser has this signal. What the authenticator makes of it no page can learn. */
async function tell<Name extends Signal>(
  name: Name,
  options: Parameters<(typeof PublicKeyCredential)[Name]>[0],
): Promise<boolean> {
  // Older browsers have none of the methods, whatever TypeScript's library says.
  if (!isWebAuthnAvailable() || typeof PublicKeyCredential[name] !== 'function') return false;
  try {
    await runSignal(() =>
      (PublicKeyCredential[name] as (given: typeof options) => Promise<void>).call(
        PublicKeyCredential,
        options,
      ),
    );
    return true;
  } catch (error) {
    throw fromBrowser(error, 'signal');
  }
}

/** The service makes a user handle of the bytes of the user's id in UTF-8. */
function userHandleOf({ userId, userHandle }: SignalledUser): string {
  if (userHandle !== undefined) return base64url('userHandle', userHandle);
  if (typeof userId !== 'string' || userId === '') {
    throw invalidArgument('userId is needed.');
  }
  const bytes = new TextEncoder().encode(userId);
  return toBase64url(bytes.buffer);
}

/** Base64url without padding, which is what the browser insists on; other forms of the same bytes are taken as well. */
function base64url(name: string, text: unknown): string {
  try {
    if (typeof text === 'string' && text !== '') return toBase64url(fromBase64url(text));
  } catch {
    // Said below.
  }
  throw invalidArgument(`${name} must be base64url.`);
}
