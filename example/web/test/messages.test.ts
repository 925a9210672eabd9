import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PassageError } from '@claviger/passage-flex';
import { explain, type Action } from '../src/messages.js';
import { ServerError } from '../src/server.js';

/** An exception as the AWS SDK throws it: told apart by its name. */
function pool(name: string, message = ''): Error {
  return Object.assign(new Error(message), { name });
}

const NO_PASSKEY = 'This account has no passkey yet. Sign in with your password, then add one.';
const OUT_OF_ORDER =
  'Passkey sign-in is out of order: one of the user pool’s functions failed. Use your password for now.';

const TABLE: [string, unknown, Action, string][] = [
  [
    'a wrong password',
    pool('NotAuthorizedException', 'Incorrect username or password.'),
    'password',
    'The email or the password is not right.',
  ],
  [
    'a locked account',
    pool('NotAuthorizedException', 'Password attempts exceeded'),
    'password',
    'Too many wrong passwords. Wait a moment, then try again.',
  ],
  [
    'an unknown user',
    pool('UserNotFoundException', 'User does not exist.'),
    'password',
    'There is no account with this email. Check it, or sign up.',
  ],
  [
    'an unknown user whom the pool hides',
    pool('NotAuthorizedException', 'Incorrect username or password.'),
    'passkey',
    'Passkey sign-in did not work for this email. Check it, or sign in with your password.',
  ],
  [
    'an email in use',
    pool('UsernameExistsException', 'An account with the given email already exists.'),
    'sign-up',
    'There is already an account with this email. Sign in instead.',
  ],
  [
    'a password the pool refuses',
    pool('InvalidPasswordException', 'Password did not conform with policy: Password not long enough'),
    'sign-up',
    'The user pool does not accept this password. Password not long enough.',
  ],
  [
    'a user whose passkeys are gone',
    pool('UserLambdaValidationException', 'CreateAuthChallenge failed with error user has no passkeys.'),
    'passkey',
    NO_PASSKEY,
  ],
  [
    'a user who never added a passkey',
    pool('UserLambdaValidationException', 'CreateAuthChallenge failed with error user not found.'),
    'passkey',
    NO_PASSKEY,
  ],
  [
    'a function that crashes',
    pool(
      'UserLambdaValidationException',
      'CreateAuthChallenge failed with error RequestId: 1 Error: Runtime exited with error: exit status 129.',
    ),
    'passkey',
    OUT_OF_ORDER,
  ],
  [
    'a function with settings of another app',
    pool(
      'UserLambdaValidationException',
      'CreateAuthChallenge failed with error app not found (app_not_found).',
    ),
    'passkey',
    OUT_OF_ORDER,
  ],
  [
    'a function that gives nonsense',
    pool('InvalidLambdaResponseException', 'Unrecognizable lambda output'),
    'passkey',
    OUT_OF_ORDER,
  ],
  [
    'a nonce redeemed too late',
    pool(
      'UserLambdaValidationException',
      'VerifyAuthChallengeResponse failed with error nonce is invalid, expired, or cannot be found.',
    ),
    'passkey',
    'The passkey could not be confirmed in time. Please try again.',
  ],
  [
    'a pool that is down',
    new TypeError('Failed to fetch'),
    'password',
    'The user pool cannot be reached. Check that it is running, then try again.',
  ],
  [
    'a cancelled sign-in',
    new PassageError('passkey_cancelled', '…'),
    'passkey',
    'The passkey request was cancelled or timed out. Try again, or sign in with your password.',
  ],
  [
    'a cancelled registration',
    new PassageError('passkey_cancelled', '…'),
    'add-passkey',
    'No passkey was added: the request was cancelled or timed out. You can try again.',
  ],
  [
    'a device that has a passkey already',
    new PassageError('passkey_already_registered', '…'),
    'add-passkey',
    'This device already has a passkey for your account. You can sign in with it.',
  ],
  [
    'a passkey service that is down',
    new PassageError('network_error', '…'),
    'add-passkey',
    'The passkey service cannot be reached. Check that it is running, then try again.',
  ],
  [
    'a code that this app does not know',
    new PassageError('brand_new', 'A sentence of the service.'),
    'passkey',
    'A sentence of the service.',
  ],
  [
    'an expired access token',
    new ServerError(401, 'The access token is not valid.'),
    'add-passkey',
    'Your session has ended. Sign out, then sign in again.',
  ],
  [
    'the example server’s own words',
    new ServerError(502, 'The user pool is not available.'),
    'sign-up',
    'The user pool is not available.',
  ],
  ['a thing that is no error', undefined, 'password', 'Something unexpected went wrong. Please try again.'],
];

for (const [name, error, action, sentence] of TABLE) {
  test(`${name} is explained (${action})`, () => assert.equal(explain(error, action), sentence));
}
