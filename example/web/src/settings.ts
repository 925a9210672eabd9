// What the app must be told, by environment variable. No defaults: a wrong pool is worse than a page that asks.

/** One required variable, in words for the person who has to set it. */
export interface Setting {
  name: string;
  meaning: string;
}

export interface Settings {
  serverUrl: string;
  region: string;
  userPoolId: string;
  appClientId: string;
  /** Where the pool answers; undefined means the real Amazon Cognito of the region. */
  poolEndpoint: string | undefined;
  passageAppId: string;
  passageBaseUrl: string;
}

const REQUIRED: Setting[] = [
  { name: 'VITE_SERVER_PORT', meaning: 'port of the example server, such as 8080' },
  { name: 'VITE_AWS_COGNITO_REGION', meaning: 'region of the user pool, such as us-east-1' },
  { name: 'VITE_AWS_COGNITO_USER_POOL_ID', meaning: 'id of the user pool' },
  { name: 'VITE_AWS_COGNITO_APP_CLIENT_ID', meaning: 'id of the pool’s app client' },
  { name: 'VITE_PASSAGE_APP_ID', meaning: 'id of the passkey app' },
  {
    name: 'VITE_PASSAGE_BASE_URL',
    meaning: 'address of the passkey service, such as http://localhost:8082/v1',
  },
];

/** Reads the settings, or names those that are absent or empty. */
export function readSettings(env: Record<string, unknown>): Settings | { missing: Setting[] } {
  const read = (name: string) => String(env[name] ?? '').trim();
  const missing = REQUIRED.filter(({ name }) => read(name) === '');
  if (missing.length > 0) return { missing };
  return {
    serverUrl: `http://localhost:${read('VITE_SERVER_PORT')}`,
    region: read('VITE_AWS_COGNITO_REGION'),
    userPoolId: read('VITE_AWS_COGNITO_USER_POOL_ID'),
    appClientId: read('VITE_AWS_COGNITO_APP_CLIENT_ID'),
    poolEndpoint: read('VITE_AWS_COGNITO_ENDPOINT') || undefined,
    passageAppId: read('VITE_PASSAGE_APP_ID'),
    passageBaseUrl: read('VITE_PASSAGE_BASE_URL'),
  };
}
