// Users and their devices: the part `user` of the client, and what the service tells about them. How a request travels
// is in client.ts.

import type { Answer } from './answer';
import { type Client, required, segment } from './client';
import { PassageError, PassageErrorCode } from './errors';

/** Whether a user may sign in. `Pending` until the first passkey is registered. A newer service may know others. */
export const UserStatus = { Active: 'active', Inactive: 'inactive', Pending: 'pending' } as const;
export type UserStatus = (typeof UserStatus)[keyof typeof UserStatus] | (string & {});

/**
 * The kind of a device: a `Passkey` may be synced between the user's machines, a `SecurityKey` or `Platform` passkey
 * stays where it was made. A newer service may know others.
 */
export const WebAuthnType = {
  Passkey: 'passkey',
  SecurityKey: 'security_key',
  Platform: 'platform',
} as const;
export type WebAuthnType = (typeof WebAuthnType)[keyof typeof WebAuthnType] | (string & {});

/** A user of the app. */
export interface PassageUser {
  createdAt: Date;
  /** Your own identifier of the user. */
  externalId: string;
  /** The service's identifier of the user. */
  id: string;
  /** `createdAt` until the first time. */
  lastLoginAt: Date;
  loginCount: number;
  status: UserStatus;
  updatedAt: Date;
  /** Always null for users of Claviger. */
  userMetadata: object | null;
  /** Whether the user has a device. */
  webauthn: boolean;
  webauthnDevices: WebAuthnDevices[];
  /** The kinds of the user's devices, each once. */
  webauthnTypes: WebAuthnType[];
}

/** One device: a passkey that the user registered. The plural is Passage's name for it. */
export interface WebAuthnDevices {
  createdAt: Date;
  /** The WebAuthn credential id, base64url without padding. */
  credId: string;
  /** A name a person recognizes. */
  friendlyName: string;
  /** The logo of the passkey's provider. */
  icons: WebAuthnIcons;
  /** What `revokeDevice` takes. */
  id: string;
  /** `createdAt` until the first time. */
  lastLoginAt: Date;
  type: WebAuthnType;
  updatedAt: Date;
  /** How often the user signed in with it. */
  usageCount: number;
}

/** `data:` URLs for light and dark backgrounds; null if the provider is not known. */
export interface WebAuthnIcons {
  light: string | null;
  dark: string | null;
}

/** Looks after users and their devices. Each method makes two calls: the first finds the service's own id of the user. */
export class User {
  readonly #client: Client;

  /** @internal Found at `PassageFlex.user`. */
  constructor(client: Client) {
    this.#client = client;
  }

  /**
   * The user with this external id, devices included.
   *
   * @throws PassageError `user_not_found` if the app has no such user, `invalid_argument` if the value is empty; nothing is
   *   sent then. `invalid_response` if the service answers with another user than the one asked for. Else what the
   *   service answered.
   */
  async get(externalId: string): Promise<PassageUser> {
    const id = await this.#findId(required('externalId', externalId));
    const answer = await this.#client.get(`/users/${segment('user id', id)}`);
    const user = readUser(answer.member('user'));
    if (user.id !== id || user.externalId !== externalId) answer.refuse();
    return user;
  }

  /**
   * The user's devices.
   *
   * @throws PassageError as for `get`.
   */
  async listDevices(externalId: string): Promise<WebAuthnDevices[]> {
    const id = await this.#findId(required('externalId', externalId));
    const answer = await this.#client.get(`/users/${segment('user id', id)}/devices`);
    return answer.list('devices').map(readDevice);
  }

  /**
   * Revokes one of the user's devices: it cannot be signed in with any more. A device of another user is never touched, so
   * its id may come from a browser as long as `externalId` is the signed-in user's.
   *
   * @throws PassageError `device_not_found` if the user has no such device, `invalid_argument` if a value is empty or the
   *   device id is `.` or `..`; nothing is sent then. Else as for `get`.
   */
  async revokeDevice(externalId: string, deviceId: string): Promise<void> {
    required('externalId', externalId);
    const device = segment('deviceId', required('deviceId', deviceId));
    const id = await this.#findId(externalId);
    await this.#client.delete(`/users/${segment('user id', id)}/devices/${device}`);
  }

  /**
   * The service's own id of the user.
   *
   * Passage's SDKs take the first row of the list whoever it is, so that a server which reads `identifier` as a pattern,
   * or not at all, hands them somebody else. Here the row must be the one asked for.
   */
  async #findId(externalId: string): Promise<string> {
    const query = new URLSearchParams({ page: '1', limit: '1', identifier: externalId });
    const answer = await this.#client.get(`/users?${query}`);
    const [row] = answer.list('users');
    if (row === undefined) {
      throw new PassageError(PassageErrorCode.UserNotFound, 'User not found.', { statusCode: 404 });
    }
    if (row.id('external_id') !== externalId) answer.refuse();
    return row.id('id');
  }
}

function readUser(user: Answer): PassageUser {
  return {
    createdAt: user.date('created_at'),
    externalId: user.id('external_id'),
    id: user.id('id'),
    lastLoginAt: user.date('last_login_at'),
    loginCount: user.count('login_count'),
    status: user.text('status'),
    updatedAt: user.date('updated_at'),
    userMetadata: user.objectOrNull('user_metadata'),
    webauthn: user.flag('webauthn'),
    webauthnDevices: user.list('webauthn_devices').map(readDevice),
    webauthnTypes: user.texts('webauthn_types'),
  };
}

function readDevice(device: Answer): WebAuthnDevices {
  const icons = device.member('icons');
  return {
    createdAt: device.date('created_at'),
    credId: device.text('cred_id'),
    friendlyName: device.text('friendly_name'),
    icons: { light: icons.textOrNull('light'), dark: icons.textOrNull('dark') },
    id: device.id('id'),
    lastLoginAt: device.date('last_login_at'),
    type: device.text('type'),
    updatedAt: device.date('updated_at'),
    usageCount: device.count('usage_count'),
  };
}
