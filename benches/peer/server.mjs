// The peer: the same ceremonies as somebody would build them on Node.js, with the libraries that most would take.
//
// It promises what Claviger promises: what was answered is durable, and transactions, challenges and nonces survive a
// restart and are taken once. It is spared the rest: no framework, no events, no log, one app, one allowed origin.
// node server.mjs PORT DATABASE API_KEY RP_ID ORIGIN

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import Database from 'better-sqlite3';

const [port, file, apiKey, rpID, origin] = process.argv.slice(2);

const database = new Database(file);
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec(`
  CREATE TABLE devices (
    credential_id TEXT PRIMARY KEY,
    external_id TEXT NOT NULL,
    public_key BLOB NOT NULL,
    counter INTEGER NOT NULL,
    transports TEXT NOT NULL
  );
  CREATE INDEX devices_of_user ON devices (external_id);
  CREATE TABLE transactions (
    id TEXT PRIMARY KEY,
    external_id TEXT NOT NULL,
    display_name TEXT,
    challenge TEXT
  ) WITHOUT ROWID;
  CREATE TABLE nonces (nonce TEXT PRIMARY KEY, external_id TEXT NOT NULL) WITHOUT ROWID;
`);
const insertTransaction = database.prepare('INSERT INTO transactions VALUES (?, ?, ?, NULL)');
const findTransaction = database.prepare('SELECT * FROM transactions WHERE id = ?');
const setChallenge = database.prepare('UPDATE transactions SET challenge = ? WHERE id = ?');
const takeTransaction = database.prepare('DELETE FROM transactions WHERE id = ? RETURNING id');
const listDevices = database.prepare('SELECT credential_id, transports FROM devices WHERE external_id = ?');
const findDevice = database.prepare('SELECT * FROM devices WHERE credential_id = ? AND external_id = ?');
const insertDevice = database.prepare('INSERT INTO devices VALUES (?, ?, ?, ?, ?)');
const countLogin = database.prepare('UPDATE devices SET counter = ? WHERE credential_id = ?');
const insertNonce = database.prepare('INSERT INTO nonces VALUES (?, ?)');
const takeNonce = database.prepare('DELETE FROM nonces WHERE nonce = ? RETURNING external_id');
// One commit for all that a finish stores; of two at once, one finds the transaction gone.
const store = database.transaction((transaction, nonce, statement, values) => {
  known(takeTransaction.get(transaction.id));
  if (!statement) return;
  statement.run(...values);
  insertNonce.run(nonce, transaction.external_id);
});

class Refused extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
  }
}

const operations = {
  'transactions/register': createTransaction,
  'transactions/authenticate': createTransaction,
  'register/transactions/webauthn/start': startRegistration,
  'register/transactions/webauthn/finish': finishRegistration,
  'authenticate/transactions/webauthn/start': startAuthentication,
  'authenticate/transactions/webauthn/finish': finishAuthentication,
  'authenticate/verify': verifyNonce,
};

function authorize(request) {
  if (request.headers.authorization !== `Bearer ${apiKey}`) throw new Refused(401, 'invalid_access_token');
}

function createTransaction(body, request) {
  authorize(request);
  const id = random();
  insertTransaction.run(id, body.external_id, body.passkey_display_name);
  return { transaction_id: id };
}

function known(transaction) {
  if (!transaction) throw new Refused(404, 'transaction_not_found');
  return transaction;
}

async function startRegistration(body) {
  const transaction = known(findTransaction.get(body.transaction_id));
  const publicKey = await generateRegistrationOptions({
    rpName: 'Bench',
    rpID,
    userName: transaction.display_name,
    userID: Buffer.from(transaction.external_id),
    attestationType: 'none',
    excludeCredentials: listDevices.all(transaction.external_id).map(descriptor),
    supportedAlgorithmIDs: [-7, -257],
  });
  return started(transaction.id, publicKey);
}

async function startAuthentication(body) {
  const transaction = known(findTransaction.get(body.transaction_id));
  const publicKey = await generateAuthenticationOptions({
    rpID,
    allowCredentials: listDevices.all(transaction.external_id).map(descriptor),
    userVerification: 'preferred',
  });
  return started(transaction.id, publicKey);
}

function started(id, publicKey) {
  setChallenge.run(publicKey.challenge, id);
  return { handshake: { id: random(), challenge: { publicKey } }, transaction_id: id };
}

function descriptor(device) {
  return { id: device.credential_id, transports: JSON.parse(device.transports) };
}

async function finishRegistration(body) {
  const transaction = known(findTransaction.get(body.transaction_id));
  const { verified, registrationInfo } = await verifyRegistrationResponse({
    response: body.handshake_response,
    expectedChallenge: transaction.challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: false,
  });
  if (!verified) return refuse(transaction);
  const { id, publicKey, counter } = registrationInfo.credential;
  const transports = JSON.stringify(body.handshake_response.transports ?? []);
  const nonce = random();
  store(transaction, nonce, insertDevice, [
    id,
    transaction.external_id,
    Buffer.from(publicKey),
    counter,
    transports,
  ]);
  return { nonce };
}

async function finishAuthentication(body) {
  const transaction = known(findTransaction.get(body.transaction_id));
  const device = findDevice.get(body.handshake_response.id, transaction.external_id);
  if (!device) return refuse(transaction);
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: body.handshake_response,
    expectedChallenge: transaction.challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    requireUserVerification: false,
    credential: {
      id: device.credential_id,
      publicKey: device.public_key,
      counter: device.counter,
      transports: JSON.parse(device.transports),
    },
  });
  if (!verified) return refuse(transaction);
  const nonce = random();
  store(transaction, nonce, countLogin, [authenticationInfo.newCounter, device.credential_id]);
  return { nonce };
}

function refuse(transaction) {
  store(transaction);
  throw new Refused(401, 'webauthn_login_failed');
}

function verifyNonce(body, request) {
  authorize(request);
  const redeemed = takeNonce.get(body.nonce);
  if (!redeemed) throw new Refused(401, 'invalid_nonce');
  return redeemed;
}

function random() {
  return randomBytes(32).toString('base64url');
}

createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', async () => {
    let status = 200;
    let answer;
    try {
      // /v1/apps/APP/OPERATION
      const operation = operations[request.url.split('/').slice(4).join('/')];
      if (!operation) throw new Refused(404, 'not_found');
      answer = await operation(JSON.parse(Buffer.concat(pieces).toString()), request);
    } catch (error) {
      status = error instanceof Refused ? error.status : 400;
      answer = { code: error.message, error: error.message };
    }
    const text = JSON.stringify(answer);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  });
}).listen(Number(port), '127.0.0.1');
