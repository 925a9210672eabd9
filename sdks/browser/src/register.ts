// Registration: start, the browser's prompt, finish.

import type { Api } from './api.js';
import { runCeremony } from './ceremony.js';
import { fromBase64url, toBase64url } from './encoding.js';
import { fromBrowser, PassageError } from './errors.js';
import { isWebAuthnAvailable } from './support.js';

export interface RegisterOptions {
  /**
   * Where the passkey may live: `platform` is this device (the default), `cross-platform` a security key or phone,
   * `any` leaves the choice to the person.
   */
  authenticatorAttachment?: 'platform' | 'cross-platform' | 'any';
}

/** Runs the registration ceremony of one transaction. See `Passkey.register`. */
export async function register(
  api: Api,
  transactionId: string,
  { authenticatorAttachment = 'platform' }: RegisterOptions = {},
): Promise<string> {
  if (typeof transactionId !== 'string' || transactionId === '') {
    throw new PassageError('invalid_argument', 'A transaction id is needed to register a passkey.');
  }
  if (!isWebAuthnAvailable()) {
    throw new PassageError('passkeys_not_supported', 'This browser does not support passkeys.');
  }
  const { handshakeId, credential } = await runCeremony('modal', async (signal) => {
    const { handshakeId, publicKey } = await api.startRegistration(
      transactionId,
      authenticatorAttachment,
      signal,
    );
    return { handshakeId, credential: await create(readOptions(publicKey), signal) };
  });
  return api.finishRegistration({ handshakeId, transactionId, response: writeResponse(credential) });
}

async function create(
  publicKey: PublicKeyCredentialCreationOptions,
  signal: AbortSignal,
): Promise<PublicKeyCredential> {
  let credential: Credential | null;
  try {
    credential = await navigator.credentials.create({ publicKey, signal });
  } catch (error) {
    throw fromBrowser(error, 'registration');
  }
  if (!credential) throw new PassageError('no_credential', 'The browser did not create a passkey.');
  return credential as PublicKeyCredential;
}

/** Every member is passed on, known to us or not; the binary ones are decoded, save those inside extensions. */
function readOptions(json: PublicKeyCredentialCreationOptionsJSON): PublicKeyCredentialCreationOptions {
  try {
    return {
      ...json,
      challenge: fromBase64url(json.challenge),
      user: { ...json.user, id: fromBase64url(json.user.id) },
      excludeCredentials: (json.excludeCredentials ?? []).map(({ id, ...descriptor }) => ({
        ...descriptor,
        id: fromBase64url(id),
      })),
    } as unknown as PublicKeyCredentialCreationOptions;
  } catch (cause) {
    throw new PassageError('invalid_response', 'The passkey service gave unusable options.', { cause });
  }
}

/** WebAuthn's own JSON form, plus `transports` at the top, where services built for the older client look for them. */
function writeResponse(credential: PublicKeyCredential): object {
  const response = credential.response as AuthenticatorAttestationResponse;
  // Safari before 16 has no getTransports.
  const transports = response.getTransports?.() ?? [];
  return {
    id: credential.id,
    rawId: toBase64url(credential.rawId),
    type: credential.type,
    response: {
      attestationObject: toBase64url(response.attestationObject),
      clientDataJSON: toBase64url(response.clientDataJSON),
      transports,
    },
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    transports,
  };
}
