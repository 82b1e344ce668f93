import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Question, type QuestionKind, tokenHeader } from '@kata-agent/workbench-page/messages';
import type { Job, JobResult } from './evaluator.js';
import { workbenchPage } from './page.js';

/** Of a question: 1 MiB. */
export const maxBodyBytes: number = 1024 * 1024;

const host = '127.0.0.1';
const kinds: ReadonlySet<string> = new Set<QuestionKind>(['check', 'generate', 'complete']);

export interface WorkbenchOptions {
  /** 0: a free one. */
  readonly port: number;
  /** What the page shows first. */
  readonly texts: { readonly configuration: string; readonly pod: string };
  readonly script: () => Promise<string>;
  readonly evaluate: (job: Job) => Promise<JobResult>;
}

export interface Workbench {
  /** With the token in its fragment, which no browser sends. */
  readonly url: string;
  close(): Promise<void>;
}

/** Why a request is not answered. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Serves the page on loopback. Questions need the token of the address, and requests the name under which the page was opened, so that
 * neither other pages of the browser nor other users of the machine get an answer. Rejects if the port is taken.
 */
export async function serveWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const token = randomBytes(32).toString('base64url');
  let name = '';
  const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
    respond(request, response, { ...options, token, name }).catch((error: unknown) => {
      const refusal = error instanceof Refusal ? error : new Refusal(500, String(error));
      // What is left of a body is not read.
      if (!request.complete) response.setHeader('connection', 'close');
      send(response, refusal.status, 'application/json', JSON.stringify({ message: refusal.message }));
    });
  });
  server.listen(options.port, host);
  await once(server, 'listening');
  name = `${host}:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${name}/#${token}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  options: WorkbenchOptions & { readonly token: string; readonly name: string },
): Promise<void> {
  const { headers, method, url: path = '' } = request;
  // A name that another site lets resolve to this machine (DNS rebinding) is another one.
  if (headers.host !== options.name)
    throw new Refusal(403, `open http://${options.name}/: another host was named`);
  if (headers.origin !== undefined && headers.origin !== `http://${options.name}`)
    throw new Refusal(403, 'another page asks');
  const kind = path.slice(1);
  const expected = kinds.has(kind) ? 'POST' : 'GET';
  if (!kinds.has(kind) && !['/', '/page.js', '/texts'].includes(path))
    throw new Refusal(404, 'there is no such page');
  if (method !== expected) {
    response.setHeader('allow', expected);
    throw new Refusal(405, `the method must be ${expected}`);
  }
  if (path === '/') {
    const nonce = randomBytes(16).toString('base64');
    response.setHeader('content-security-policy', policy(nonce));
    return send(response, 200, 'text/html; charset=utf-8', workbenchPage(nonce));
  }
  if (path === '/page.js') return send(response, 200, 'text/javascript', await options.script());
  const given = headers[tokenHeader];
  if (typeof given !== 'string' || !isEqual(given, options.token))
    throw new Refusal(401, 'the token is missing or wrong: open the address that kata-agent-ctl has printed');
  if (path === '/texts') return send(response, 200, 'application/json', JSON.stringify(options.texts));
  const question = questionOf(await bodyOf(request));
  const result = await options.evaluate({ kind: kind as QuestionKind, question });
  if (!result.ok) throw new Refusal(result.superseded === true ? 409 : 422, result.message);
  send(response, 200, 'application/json', JSON.stringify(result.answer));
}

function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    // Of no icon.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
  });
  response.end(body);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) throw new Refusal(413, `the texts are larger than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function questionOf(body: string): Question {
  const wrong = new Refusal(400, 'the body must be JSON with the texts configuration and pod');
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null) throw wrong;
    const { configuration, pod, offset } = value as Record<string, unknown>;
    if (typeof configuration !== 'string' || typeof pod !== 'string') throw wrong;
    return { configuration, pod, ...(typeof offset === 'number' ? { offset } : {}) };
  } catch {
    throw wrong;
  }
}

function isEqual(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
