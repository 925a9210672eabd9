// Authentication: start, the browser's prompt or autofill, finish.

import type { Api, Started } from './api.js';
import { runAutofill, runPrompt } from './ceremony.js';
import { fromBase64url, toBase64url } from './encoding.js';
import { fromBrowser, invalidArgument, PassageError, readObject } from './errors.js';
import { hasConditionalMediation, isWebAuthnAvailable } from './support.js';

export interface AuthenticateOptions {
  /** The transaction your server made for one user. Left out: any user of the app, found by the passkey itself. */
  transactionId?: string;
  /**
   * Offer passkeys in the autofill list of a field with `autocomplete="username webauthn"`, without a prompt.
   * Autofill is always open to any user, so a `transactionId` given beside it is not used.
   */
  isConditionalMediation?: boolean;
  /** Ends the ceremony, which then rejects with `ceremony_aborted`, as long as no passkey was used. */
  signal?: AbortSignal;
}

/** Runs the authentication ceremony. See `Passkey.authenticate`. */
export async function authenticate(api: Api, options: AuthenticateOptions = {}): Promise<string> {
  const { transactionId, isConditionalMediation = false, signal } = readObject('options', options);
  // Absent is a choice, empty is a mistake: taking it for absent would turn a step-up into a sign-in by anybody.
  if (transactionId !== undefined && (typeof transactionId !== 'string' || transactionId === '')) {
    throw invalidArgument('The transaction id is empty.');
  }
  if (!isWebAuthnAvailable() || (isConditionalMediation && !(await hasConditionalMediation()))) {
    throw new PassageError('passkeys_not_supported', 'This browser does not support passkeys here.');
  }
  const transaction = isConditionalMediation ? undefined : transactionId;
  const mediation = isConditionalMediation ? 'conditional' : undefined;
  const run = isConditionalMediation ? runAutofill : runPrompt;
  return run(
    {
      start: (signal) => api.startAuthentication(transaction, signal),
      prompt: (started, signal) => get(readOptions(started), mediation, signal),
      finish: ({ handshakeId }, response) =>
        api.finishAuthentication({ handshakeId, transactionId: transaction, response }),
    },
    signal,
  );
}

async function get(
  publicKey: PublicKeyCredentialRequestOptions,
  mediation: CredentialMediationRequirement | undefined,
  signal: AbortSignal,
): Promise<object> {
  try {
    const credential = await navigator.credentials.get({
      publicKey,
      signal,
      ...(mediation && { mediation }),
    });
    if (!credential) throw new PassageError('no_credential', 'The browser did not use a passkey.');
    // Extensions of the browser put objects of their own in the credential's place, some with members missing.
    return writeResponse(credential as PublicKeyCredential);
  } catch (error) {
    throw fromBrowser(error, 'authentication');
  }
}

/** Every member is passed on, known to us or not; the binary ones are decoded, save those inside extensions. */
function readOptions({
  publicKey: json,
  statusCode,
}: Started<PublicKeyCredentialRequestOptionsJSON>): PublicKeyCredentialRequestOptions {
  try {
    return {
      ...json,
      challenge: fromBase64url(json.challenge),
      allowCredentials: (json.allowCredentials ?? []).map(({ id, ...descriptor }) => ({
        ...descriptor,
        id: fromBase64url(id),
      })),
    } as unknown as PublicKeyCredentialRequestOptions;
  } catch (cause) {
    throw new PassageError('invalid_response', 'The passkey service gave unusable options.', {
      statusCode,
      cause,
    });
  }
}

function writeResponse(credential: PublicKeyCredential): object {
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    rawId: toBase64url(credential.rawId),
    type: credential.type,
    response: {
      authenticatorData: toBase64url(response.authenticatorData),
      clientDataJSON: toBase64url(response.clientDataJSON),
      signature: toBase64url(response.signature),
      userHandle: response.userHandle ? toBase64url(response.userHandle) : undefined,
    },
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
  };
}
