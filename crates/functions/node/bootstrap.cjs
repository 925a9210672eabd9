'use strict';

// The runtime of Node.js functions: loads the handler, asks the Runtime API for invocations one by
// one, calls the handler and answers. What functions may rely on is the Node.js section of the
// function runner's contract.
//
// It holds no state of the server's: it ends when the Runtime API is gone, which is how an instance
// ends whose server was killed.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const util = require('node:util');
const { pathToFileURL } = require('node:url');

const EXIT_UNHANDLED_REJECTION = 128;
const EXIT_UNCAUGHT_EXCEPTION = 129;
/** From this version of the runtime on only async handlers exist. */
const FIRST_MAJOR_WITHOUT_CALLBACKS = 24;

const environment = process.env;
const [host, port] = environment.AWS_LAMBDA_RUNTIME_API.split(':');
const major = Number(/nodejs(\d+)/.exec(environment.AWS_EXECUTION_ENV ?? '')?.[1] ?? 0);

/** The invocation that is being handled, if there is one. */
let current;

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = name;
  }
}

// --- The Runtime API ---------------------------------------------------------------------------

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(method, resource, { body, headers = {}, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host, port, method, path: `/2018-06-01/runtime/${resource}`, headers, agent, ...options },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          });
        });
      },
    );
    request.on('error', reject);
    if (body !== undefined) {
      request.setHeader('content-type', 'application/json');
      request.setHeader('content-length', Buffer.byteLength(body));
    }
    request.end(body);
  });
}

function report(resource, error, options) {
  const described = describe(error);
  const headers = { 'lambda-runtime-function-error-type': headerText(described.errorType) };
  return call('POST', resource, { body: JSON.stringify(described), headers, ...options });
}

function headerText(text) {
  return String(text).replace(/[^\x20-\x7e]/g, '?');
}

/** An error as callers see it. */
function describe(error) {
  try {
    if (util.types.isNativeError(error) || error instanceof Error) {
      return {
        errorType: error.name,
        errorMessage: error.message,
        ...error.details,
        trace: String(error.stack ?? '').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'The error thrown by the function cannot be read',
      trace: [],
    };
  }
}

// --- What functions print ----------------------------------------------------------------------

function patchConsole() {
  const print = (level) => {
    return (...values) => {
      const time = new Date().toISOString();
      const line = `${time}\t${current?.id}\t${level}\t${util.format(...values)}\n`;
      writeAll(line);
    };
  };
  console.log = print('INFO');
  console.info = print('INFO');
  console.debug = print('DEBUG');
  console.warn = print('WARN');
  console.error = print('ERROR');
  console.trace = (...values) => {
    const { stack } = new RuntimeError('Trace', util.format(...values));
    print('TRACE')(stack);
  };
  console.fatal = print('FATAL');
}

/** Synchronous, so that nothing printed is lost at an exit or after an answer. */
function writeAll(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      // The pipe is full: the server is about to read it.
      if (error.code !== 'EAGAIN') return;
    }
  }
}

// --- The handler -------------------------------------------------------------------------------

async function loadHandler(name, root) {
  if (name.includes('..')) {
    throw new RuntimeError(
      'Runtime.MalformedHandlerName',
      `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const slash = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', slash);
  if (dot <= slash || dot === name.length - 1) {
    throw new RuntimeError('Runtime.MalformedHandlerName', 'Bad handler');
  }
  const loaded = await loadModule(root, name.slice(0, dot));
  let found = loaded;
  for (const property of name.slice(dot + 1).split('.')) {
    found = found?.[property] ?? found?.default?.[property];
  }
  if (found === undefined || found === null) {
    throw new RuntimeError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw new RuntimeError('Runtime.HandlerNotFound', `${name} is not a function`);
  }
  if (major >= FIRST_MAJOR_WITHOUT_CALLBACKS && found.length >= 3) {
    throw new RuntimeError(
      'Runtime.CallbackHandlerDeprecated',
      `${name} takes a callback; from nodejs24.x on a handler is async and returns its result`,
    );
  }
  return found;
}

async function loadModule(root, name) {
  try {
    const file = findModule(path.resolve(root, name));
    if (file === undefined) {
      const resolved = require.resolve(name, { paths: [root, path.dirname(path.resolve(root, name))] });
      return require(resolved);
    }
    return isEsModule(file, root) ? await import(pathToFileURL(file).href) : require(file);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw withStackOf(error, new RuntimeError('Runtime.UserCodeSyntaxError', String(error)));
    }
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw withStackOf(error, new RuntimeError('Runtime.ImportModuleError', String(error)));
    }
    throw error;
  }
}

function findModule(base) {
  return ['', '.js', '.mjs', '.cjs']
    .map((extension) => base + extension)
    .find((file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile());
}

function isEsModule(file, root) {
  if (file.endsWith('.mjs')) return true;
  if (!file.endsWith('.js')) return false;
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, 'package.json');
    if (fs.existsSync(manifest)) return JSON.parse(fs.readFileSync(manifest, 'utf8')).type === 'module';
    if (folder === root || folder === path.dirname(folder)) return false;
  }
}

function withStackOf(original, error) {
  error.stack = `${error.name}: ${original.stack ?? original}`;
  return error;
}

/** Calls the handler; settles with its result or its error. */
function invoke(handler, event, context) {
  return new Promise((resolve, reject) => {
    const succeed = (value) => {
      // By a callback: what is still going on is waited for, unless the function says otherwise.
      if (context.callbackWaitsForEmptyEventLoop) {
        whenEventLoopIsEmpty = () => resolve(value);
      } else {
        setImmediate(resolve, value);
      }
    };
    const callback = (error, value) => {
      if (error === undefined || error === null) succeed(value);
      else reject(error);
    };
    // A handler that never settles and has nothing left to do has returned nothing.
    whenEventLoopIsEmpty = () => resolve(undefined);
    context.done = callback;
    context.succeed = (value) => callback(null, value);
    context.fail = (error) => callback(error ?? 'handled');

    const returned =
      major >= FIRST_MAJOR_WITHOUT_CALLBACKS ? handler(event, context) : handler(event, context, callback);
    if (typeof returned?.then === 'function') {
      returned.then(resolve, reject);
    } else if (major >= FIRST_MAJOR_WITHOUT_CALLBACKS) {
      resolve(returned);
    }
  });
}

let whenEventLoopIsEmpty;

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parsed = (name) => (headers[name] ? JSON.parse(decoded(headers[name])) : undefined);
  const decoded = (text) => (text.startsWith('{') ? text : Buffer.from(text, 'base64').toString());
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    clientContext: parsed('lambda-runtime-client-context'),
    identity: parsed('lambda-runtime-cognito-identity'),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

function serialize(result) {
  try {
    return JSON.stringify(result) ?? 'null';
  } catch {
    throw new RuntimeError('Runtime.MalformedResponse', 'Unable to stringify response body');
  }
}

// --- The loop ----------------------------------------------------------------------------------

async function handleOne(handler) {
  const { status, headers, body } = await call('GET', 'invocation/next');
  if (status !== 200) process.exit(1);
  current = { id: headers['lambda-runtime-aws-request-id'] };
  const resource = `invocation/${current.id}`;
  environment._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'] ?? '';
  let answer;
  try {
    answer = serialize(await invoke(handler, JSON.parse(body), contextOf(headers)));
  } catch (error) {
    whenEventLoopIsEmpty = undefined;
    console.error('Invoke Error', JSON.stringify(describe(error)));
    await report(`${resource}/error`, error);
    return;
  }
  whenEventLoopIsEmpty = undefined;
  await call('POST', `${resource}/response`, { body: answer });
}

/** Tells why this process cannot go on, and ends it. */
function endBecause(error, exitCode) {
  console.error('Uncaught Exception', JSON.stringify(describe(error)));
  const resource = current ? `invocation/${current.id}/error` : 'init/error';
  const end = () => process.exit(exitCode);
  // On a connection of its own: the other one may be in the middle of something.
  report(resource, error, { agent: false }).then(end, end);
}

process.on('uncaughtException', (error) => endBecause(error, EXIT_UNCAUGHT_EXCEPTION));
process.on('unhandledRejection', (reason) => {
  const error = new RuntimeError('Runtime.UnhandledPromiseRejection', String(reason));
  error.details = { reason: describe(reason), promise: {} };
  if (reason?.stack) error.stack = `${error.name}: ${reason.stack}`;
  endBecause(error, EXIT_UNHANDLED_REJECTION);
});
process.on('beforeExit', () => {
  const settle = whenEventLoopIsEmpty;
  whenEventLoopIsEmpty = undefined;
  settle?.();
});

async function main() {
  patchConsole();
  let handler;
  try {
    handler = await loadHandler(environment._HANDLER, environment.LAMBDA_TASK_ROOT);
  } catch (error) {
    endBecause(error, EXIT_UNCAUGHT_EXCEPTION);
    return;
  }
  try {
    for (;;) await handleOne(handler);
  } catch {
    // The Runtime API is gone, and with it whoever this process worked for.
    process.exit(1);
  }
}

main();
