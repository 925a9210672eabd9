// The public surface of the package. Everything else is an implementation detail.

export { PassageFlex } from './client';
export type { PassageConfig } from './client';
export { CeremonyType } from './transactions';
export type { Auth, VerifiedNonce } from './transactions';
export { UserStatus, WebAuthnType } from './users';
export type { PassageUser, User, WebAuthnDevices, WebAuthnIcons } from './users';
export { PassageError, PassageErrorCode } from './errors';
