// Every failure as a sentence for the person in front of the page. What they can do next is part of the sentence.

import { PassageError } from '@claviger/passage-flex';
import { ServerError } from './server.js';

/** What the person was doing. The same exception means different things at different moments. */
export type Action = 'sign-up' | 'password' | 'passkey' | 'add-passkey';

const UNEXPECTED = 'Something unexpected went wrong. Please try again.';
const NO_PASSKEY = 'This account has no passkey yet. Sign in with your password, then add one.';
const OUT_OF_ORDER =
  'Passkey sign-in is out of order: one of the user pool’s functions failed. Use your password for now.';

export function explain(error: unknown, action: Action): string {
  if (error instanceof PassageError) return explainPassage(error, action);
  if (error instanceof ServerError) return explainServer(error);
  if (error instanceof Error) return explainPool(error, action);
  return UNEXPECTED;
}

function explainPassage({ code, message }: PassageError, action: Action): string {
  switch (code) {
    case 'passkey_cancelled':
      return action === 'add-passkey'
        ? 'No passkey was added: the request was cancelled or timed out. You can try again.'
        : 'The passkey request was cancelled or timed out. Try again, or sign in with your password.';
    case 'passkey_already_registered':
      return 'This device already has a passkey for your account. You can sign in with it.';
    case 'passkeys_not_supported':
      return 'This browser does not support passkeys.';
    case 'authenticator_not_suitable':
      return 'This device cannot hold a passkey. It needs a screen lock, a fingerprint reader or the like.';
    case 'origin_not_allowed':
      return 'Passkeys do not work at this web address. Open the page at its configured address.';
    case 'network_error':
    case 'timeout':
      return 'The passkey service cannot be reached. Check that it is running, then try again.';
    case 'transaction_not_found':
      return 'The passkey request took too long. Please try again.';
    case 'user_has_no_passkeys':
      return NO_PASSKEY;
    case 'webauthn_login_failed':
      return action === 'add-passkey'
        ? 'The new passkey could not be verified, so it was not added. Please try again.'
        : 'This passkey could not be verified. Try another one, or sign in with your password.';
    default:
      return message;
  }
}

function explainServer({ statusCode, message }: ServerError): string {
  if (statusCode === 401) return 'Your session has ended. Sign out, then sign in again.';
  return message;
}

function explainPool({ name, message }: Error, action: Action): string {
  switch (name) {
    case 'UsernameExistsException':
      return 'There is already an account with this email. Sign in instead.';
    case 'UserNotFoundException':
      return 'There is no account with this email. Check it, or sign up.';
    case 'NotAuthorizedException':
      return explainNotAuthorized(message, action);
    case 'InvalidPasswordException':
      return `The user pool does not accept this password. ${sentence(message.split(': ').slice(1).join(': '))}`.trim();
    case 'InvalidParameterException':
      return message.includes('email') ? 'Please enter a full email address.' : sentence(message);
    case 'PasswordResetRequiredException':
      return 'This password must be reset before it can be used again.';
    case 'UserLambdaValidationException':
      return explainTrigger(message);
    case 'UnexpectedLambdaException':
    case 'InvalidLambdaResponseException':
    case 'UnexpectedAnswer':
      return OUT_OF_ORDER;
    case 'ResourceNotFoundException':
      return 'The user pool does not know this app. Check the pool and app client ids in the settings.';
    case 'TooManyRequestsException':
    case 'LimitExceededException':
      return 'Too many attempts. Wait a moment, then try again.';
    case 'TypeError':
    case 'TimeoutError':
    case 'AbortError':
      return 'The user pool cannot be reached. Check that it is running, then try again.';
    case 'InternalErrorException':
    case 'InternalServerException':
      return 'The user pool has a problem. Please try again later.';
    default:
      return message ? sentence(message) : UNEXPECTED;
  }
}

function explainNotAuthorized(message: string, action: Action): string {
  if (message.startsWith('Password attempts exceeded')) {
    return 'Too many wrong passwords. Wait a moment, then try again.';
  }
  if (message.startsWith('User is disabled')) return 'This account is disabled.';
  if (message.startsWith('SignUp is not permitted'))
    return 'This user pool does not let people sign up themselves.';
  if (action === 'password') return 'The email or the password is not right.';
  if (action === 'passkey') {
    return 'Passkey sign-in did not work for this email. Check it, or sign in with your password.';
  }
  return sentence(message);
}

/** A trigger's own words arrive inside the pool's: `<Trigger> failed with error <words>.` */
function explainTrigger(message: string): string {
  if (message.startsWith('VerifyAuthChallengeResponse')) {
    return 'The passkey could not be confirmed in time. Please try again.';
  }
  // A person without a passkey is unknown to the passkey service until the first one is added.
  if (/no[ _]passkeys|user.{0,40}not.{0,10}found|missing sub/i.test(message)) return NO_PASSKEY;
  return OUT_OF_ORDER;
}

function sentence(text: string): string {
  return text === '' || /[.!?]$/.test(text) ? text : `${text}.`;
}
