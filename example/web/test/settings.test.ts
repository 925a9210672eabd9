import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSettings } from '../src/settings.js';

const complete = {
  VITE_SERVER_PORT: '8080',
  VITE_AWS_COGNITO_REGION: 'us-east-1',
  VITE_AWS_COGNITO_USER_POOL_ID: 'us-east-1_Ab3dEf6Hi',
  VITE_AWS_COGNITO_APP_CLIENT_ID: 'client',
  VITE_PASSAGE_APP_ID: 'app',
  VITE_PASSAGE_BASE_URL: 'http://localhost:8082/v1',
};

test('complete settings are read, and without an endpoint the pool is the real one', () => {
  const settings = readSettings({ ...complete, VITE_AWS_COGNITO_ENDPOINT: '' });
  assert.deepEqual(settings, {
    serverUrl: 'http://localhost:8080',
    region: 'us-east-1',
    userPoolId: 'us-east-1_Ab3dEf6Hi',
    appClientId: 'client',
    poolEndpoint: undefined,
    passageAppId: 'app',
    passageBaseUrl: 'http://localhost:8082/v1',
  });
});

test('every setting that is absent or blank is named', () => {
  const settings = readSettings({ ...complete, VITE_PASSAGE_APP_ID: '  ', VITE_SERVER_PORT: undefined });
  assert.ok('missing' in settings);
  assert.deepEqual(
    settings.missing.map(({ name }) => name),
    ['VITE_SERVER_PORT', 'VITE_PASSAGE_APP_ID'],
  );
});
