// What this browser can do. Asking never prompts the person and never rejects: a browser that fails to answer cannot.

/** Whether this page can use WebAuthn at all: a capable browser, and a secure context. */
export function isWebAuthnAvailable(): boolean {
  return typeof globalThis.PublicKeyCredential === 'function' && navigator.credentials !== undefined;
}

/** Whether this device itself (fingerprint, face, screen lock) can hold a passkey. */
export function hasPlatformAuthenticator(): Promise<boolean> {
  return ask(() => PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable());
}

/** Whether the browser can offer passkeys in the autofill list of a form field. */
export function hasConditionalMediation(): Promise<boolean> {
  return ask(() => PublicKeyCredential.isConditionalMediationAvailable());
}

/** Whether the browser can create a passkey in passing, beside another sign-in (WebAuthn's `conditionalCreate`). */
export function hasConditionalCreate(): Promise<boolean> {
  return ask(async () => {
    const { conditionalCreate } = await PublicKeyCredential.getClientCapabilities();
    return conditionalCreate === true;
  });
}

/** The methods asked for are missing in older browsers, which shows as a rejection here. */
async function ask(question: () => Promise<boolean>): Promise<boolean> {
  if (!isWebAuthnAvailable()) return false;
  try {
    return (await question()) === true;
  } catch {
    return false;
  }
}
