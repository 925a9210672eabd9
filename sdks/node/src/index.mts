// The same package for `import`. It hands on the one CommonJS build instead of being a second one, so that a program
// that loads it both ways has one `PassageError` and `instanceof` tells the truth.

export {
  CeremonyType,
  PassageError,
  PassageErrorCode,
  PassageFlex,
  UserStatus,
  WebAuthnType,
} from './index.js';
export type {
  Auth,
  PassageConfig,
  PassageUser,
  User,
  VerifiedNonce,
  WebAuthnDevices,
  WebAuthnIcons,
} from './index.js';
