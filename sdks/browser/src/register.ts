// Registration: start, the browser's prompt, finish.

import type { Api, Started } from './api.js';
import { runInPassing, runPrompt } from './ceremony.js';
import { fromBase64url, toBase64url } from './encoding.js';
import { fromBrowser, invalidArgument, isRefusal, PassageError, readObject } from './errors.js';
import { signalUnknown } from './signals.js';
import { hasConditionalCreate, isWebAuthnAvailable } from './support.js';

export interface RegisterOptions {
  /**
   * Where the passkey may live: `platform` is this device (the default), `cross-platform` a security key or phone,
   * `any` leaves the choice to the person.
   */
  authenticatorAttachment?: 'platform' | 'cross-platform' | 'any';
  /**
   * Create the passkey in passing, without a prompt, right after the person signed in with a password that the same
   * password manager filled in. The browser decides whether it will; see `Passkey.canUseConditionalCreate`.
   */
  isConditional?: boolean;
  /** Ends the ceremony, which then rejects with `ceremony_aborted`, as long as no passkey was made. */
  signal?: AbortSignal;
}

/** Runs the registration ceremony of one transaction. See `Passkey.register`. */
export async function register(
  api: Api,
  transactionId: string,
  options?: RegisterOptions | null,
): Promise<string> {
  const { authenticatorAttachment, isConditional = false, signal } = readObject('options', options ?? {});
  if (typeof transactionId !== 'string' || transactionId === '') {
    throw invalidArgument('A transaction id is needed to register a passkey.');
  }
  if (!isWebAuthnAvailable() || (isConditional && !(await hasConditionalCreate()))) {
    throw new PassageError('passkeys_not_supported', 'This browser does not support passkeys here.');
  }
  const mediation = isConditional ? 'conditional' : undefined;
  const run = isConditional ? runInPassing : runPrompt;
  return run(
    {
      start: (signal) =>
        api.startRegistration(transactionId, authenticatorAttachment ?? 'platform', mediation, signal),
      prompt: (started, signal) => create(readOptions(started), mediation, signal),
      finish: async ({ handshakeId, publicKey }, response) => {
        try {
          return await api.finishRegistration({ handshakeId, transactionId, response });
        } catch (error) {
          if (isRefusal(error)) forget(publicKey.rp.id, response.id);
          throw error;
        }
      },
    },
    signal,
  );
}

/**
 * Takes back a passkey that was made a moment ago and that the service refused: nobody knows its public key, so it
 * would only be offered at the next sign-in and fail. Without an answer the service may have stored it, and it stays.
 */
function forget(rpId: string | undefined, credentialId: string): void {
  if (rpId !== undefined) signalUnknown(rpId, credentialId).catch(() => {});
}

async function create(
  publicKey: PublicKeyCredentialCreationOptions,
  mediation: CredentialMediationRequirement | undefined,
  signal: AbortSignal,
): Promise<ReturnType<typeof writeResponse>> {
  try {
    // A variable, because TypeScript's own library does not know the member `mediation` of create() yet.
    const options = { publicKey, signal, ...(mediation && { mediation }) };
    const credential = await navigator.credentials.create(options);
    if (!credential) throw new PassageError('no_credential', 'The browser did not create a passkey.');
    // Extensions of the browser put objects of their own in the credential's place, some with members missing.
    return writeResponse(credential as PublicKeyCredential);
  } catch (error) {
    throw fromBrowser(error, 'registration');
  }
}

/** Every member is passed on, known to us or not; the binary ones are decoded, save those inside extensions. */
function readOptions({
  publicKey: json,
  statusCode,
}: Started<PublicKeyCredentialCreationOptionsJSON>): PublicKeyCredentialCreationOptions {
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
    throw new PassageError('invalid_response', 'The passkey service gave unusable options.', {
      statusCode,
      cause,
    });
  }
}

/** WebAuthn's own JSON form, plus `transports` at the top, where services built for the older client look for them. */
function writeResponse(credential: PublicKeyCredential) {
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
