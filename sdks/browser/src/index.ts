// The public surface of the package. Everything else is an implementation detail.

export { PassageFlex } from './passage-flex.js';
export type { Passkey, PassageFlexOptions } from './passage-flex.js';
export type { RegisterOptions } from './register.js';
export type { AuthenticateOptions } from './authenticate.js';
export type { AcceptedPasskeys, RevokedPasskey, SignalledUser, UserDetails } from './signals.js';
export { PassageError } from './errors.js';
export type { PassageErrorCode } from './errors.js';
