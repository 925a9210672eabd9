// A service on the loopback interface that answers what a test tells it to and remembers what it was sent.

import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';

export interface Sent {
  /** Method, path and query. */
  target: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Reply {
  status: number;
  body: string;
  headers?: Record<string, string>;
}

export interface Service {
  baseUrl: string;
  sent: Sent[];
  targets(): string[];
}

/** Gives each target its own answer, or every target the same. A target begins at the app: `GET /users/u1`. */
export function answering(replies: Reply | Record<string, Reply>): Promise<Service> {
  return start((request, response) => {
    const target = `${request.method} ${request.url}`.replace('/v1/apps/app1', '');
    const all = replies as Reply;
    const one = (replies as Record<string, Reply>)[target];
    const reply = typeof all.status === 'number' ? all : (one ?? json(418, `nothing for ${target}`));
    response
      .writeHead(reply.status, { 'Content-Type': 'application/json', ...reply.headers })
      .end(reply.body);
  });
}

/** Takes requests and says nothing; with `begins`, it says the first half. */
export function silent({ begins }: { begins: boolean }): Promise<Service> {
  return start((_request, response) => {
    if (begins) response.writeHead(200, { 'Content-Length': '100' }).write('{');
  });
}

export function json(status: number, body: unknown): Reply {
  return { status, body: JSON.stringify(body) };
}

async function start(answer: RequestListener): Promise<Service> {
  const sent: Sent[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    sent.push({ target: `${request.method} ${request.url}`, headers: request.headers, body });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const targets = () => sent.map(({ target }) => target);
  return { baseUrl: `http://127.0.0.1:${port}/v1`, sent, targets };
}
