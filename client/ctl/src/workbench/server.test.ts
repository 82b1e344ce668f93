import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, test } from 'node:test';
import { type CheckAnswer, tokenHeader } from '@kata-agent/workbench-page/messages';
import { Evaluator, type Job, type JobResult } from './evaluator.js';
import { maxBodyBytes, serveWorkbench, type Workbench } from './server.js';
import { threadProgram } from './thread.js';

const question = { configuration: 'version = 1\n', pod: '' };
const asked: Job[] = [];
const workbench: Workbench = await serveWorkbench({
  port: 0,
  texts: question,
  script: async () => 'the script',
  evaluate: async (job) => {
    asked.push(job);
    return job.question.pod === 'bad' ? { ok: false, message: 'no pod' } : { ok: true, answer: 'answered' };
  },
});
after(() => workbench.close());
const url = new URL(workbench.url);
const token = url.hash.slice(1);

interface Sent {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Received {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** Sends a request as the page does, if nothing else is said. */
function send({
  path,
  method = 'POST',
  headers = {},
  body = JSON.stringify(question),
}: Sent): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: url.hostname,
      port: url.port,
      path,
      method,
      headers: { origin: url.origin, [tokenHeader]: token, ...headers },
    });
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: text }),
      );
    });
    sent.on('error', reject);
    sent.end(method === 'GET' ? undefined : body);
  });
}

test('the page and its script need no token, and have a policy that admits them alone', async () => {
  const page = await send({ path: '/', method: 'GET', headers: { [tokenHeader]: '' } });
  assert.equal(page.status, 200);
  const policy = String(page.headers['content-security-policy']);
  const [, nonce = ''] = /script-src 'nonce-([^']+)'/.exec(policy) ?? [];
  assert.match(policy, /^default-src 'none';/);
  assert.ok(page.body.includes(`<script nonce="${nonce}" src="/page.js">`));
  assert.ok(!page.body.includes(token));
  assert.equal((await send({ path: '/page.js', method: 'GET' })).body, 'the script');
});

test('a question with the token is answered; a reason is an error', async () => {
  assert.equal((await send({ path: '/check' })).body, '"answered"');
  assert.deepEqual(asked.at(-1), { kind: 'check', question });
  assert.deepEqual(JSON.parse((await send({ path: '/texts', method: 'GET' })).body), question);
  const bad = await send({ path: '/generate', body: JSON.stringify({ ...question, pod: 'bad' }) });
  assert.deepEqual([bad.status, bad.body], [422, '{"message":"no pod"}']);
});

const refused: readonly (Sent & { readonly what: string; readonly status: number })[] = [
  { what: 'no token', status: 401, path: '/check', headers: { [tokenHeader]: '' } },
  { what: 'another token', status: 401, path: '/check', headers: { [tokenHeader]: `${token.slice(1)}A` } },
  {
    what: 'the texts without a token',
    status: 401,
    path: '/texts',
    method: 'GET',
    headers: { [tokenHeader]: '' },
  },
  { what: 'another host', status: 403, path: '/check', headers: { host: `attacker.example:${url.port}` } },
  {
    what: 'another host, for the page',
    status: 403,
    path: '/',
    method: 'GET',
    headers: { host: 'localhost' },
  },
  { what: 'another origin', status: 403, path: '/check', headers: { origin: 'http://attacker.example' } },
  { what: 'no origin that has a name', status: 403, path: '/check', headers: { origin: 'null' } },
  { what: 'a question with GET', status: 405, path: '/check', method: 'GET' },
  { what: 'the page with POST', status: 405, path: '/' },
  { what: 'another path', status: 404, path: '/etc/passwd', method: 'GET' },
  { what: 'a path with a query', status: 404, path: '/check?x' },
  { what: 'no JSON', status: 400, path: '/check', body: '{' },
  { what: 'JSON without a text', status: 400, path: '/check', body: '{"configuration":"","pod":1}' },
];

for (const { what, status, ...sent } of refused)
  test(`refused: ${what}`, async () => {
    const before = asked.length;
    assert.equal((await send(sent)).status, status);
    assert.equal(asked.length, before);
  });

test('a body of exactly 1 MiB is read, and one byte more is not', async () => {
  const frame = JSON.stringify({ configuration: '', pod: '' });
  const body = (bytes: number): string =>
    JSON.stringify({ configuration: '', pod: 'x'.repeat(bytes - frame.length) });
  assert.equal((await send({ path: '/check', body: body(maxBodyBytes) })).status, 200);
  // The connection can end before the client has sent all of it.
  const outcome = await send({ path: '/check', body: body(maxBodyBytes + 1) }).then(
    ({ status }) => status,
    (error: NodeJS.ErrnoException) => error.code,
  );
  assert.ok([413, 'EPIPE', 'ECONNRESET'].includes(outcome ?? ''), String(outcome));
  assert.equal(asked.at(-1)?.question.pod.length, maxBodyBytes - frame.length);
});

/** A thread that answers, but for the pod `loop`, with which it never ends. */
const looping: URL = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ question }) => {
      if (question.pod === 'end') process.exit(1);
      while (question.pod === 'loop');
      parentPort.postMessage({ ok: true, answer: question.pod });
    });`)}`,
);

test('its end fails what was asked and not answered, and starts no other thread', async () => {
  const evaluator = new Evaluator({ program: looping, data: {}, limitMs: 60_000 });
  const ask = (kind: Job['kind']): Promise<JobResult> =>
    evaluator.evaluate({ kind, question: { configuration: '', pod: 'loop' } });
  const begun = ask('check');
  const waiting = ask('generate');
  await evaluator.close();
  assert.deepEqual(await begun, { ok: false, message: 'the evaluation ended' });
  const closed = { ok: false, message: 'the workbench ends' };
  assert.deepEqual(await waiting, closed);
  assert.deepEqual(await ask('check'), closed);
});

test('an evaluation that takes too long is ended, as is one that fails, and the next one is answered', async () => {
  const evaluator = new Evaluator({ program: looping, data: {}, limitMs: 1000 });
  const ask = (pod: string): Promise<JobResult> =>
    evaluator.evaluate({ kind: 'check', question: { configuration: '', pod } });
  assert.deepEqual(await ask('loop'), {
    ok: false,
    message: 'the evaluation was ended: it took longer than 1 s',
  });
  assert.deepEqual(await ask('end'), { ok: false, message: 'the evaluation ended' });
  assert.deepEqual(await ask('a'), { ok: true, answer: 'a' });
  // The first is begun at once; of those that wait the latest remains.
  const results = await Promise.all(['b', 'c', 'd'].map(ask));
  assert.deepEqual(
    results.map((result) => (result.ok ? result.answer : result.superseded)),
    ['b', true, 'd'],
  );
  await evaluator.close();
});

test('the thread of the program checks, generates and completes', async () => {
  const evaluator = new Evaluator({ program: threadProgram, data: { format: 'json' }, limitMs: 60_000 });
  const pod = [
    'apiVersion: v1',
    'kind: Pod',
    'metadata: { name: web }',
    'spec: { containers: [{ name: app, image: "docker.io/library/busybox:1.36", command: [sleep, "120"] }] }',
  ].join('\n');
  const ask = async (kind: Job['kind'], texts: object): Promise<unknown> => {
    const result = await evaluator.evaluate({ kind, question: { ...question, pod, ...texts } });
    return result.ok ? result.answer : result.message;
  };
  const { configuration } = (await ask('generate', {})) as { readonly configuration: string };
  const sufficient = (await ask('check', { configuration })) as CheckAnswer;
  assert.deepEqual(
    sufficient.workloads.map((each) => [each.name, each.sufficient]),
    [['Pod web', true]],
  );
  const other = (await ask('check', { configuration, pod: pod.replace('120', '121') })) as CheckAnswer;
  const [first] = other.workloads[0]?.calls.filter(({ refusals }) => refusals.length > 0) ?? [];
  assert.equal(first?.method, 'CreateContainer');
  const invalid = (await ask('check', { configuration: 'versoin = 1\n' })) as CheckAnswer;
  assert.deepEqual(invalid.findings.map(({ severity, from, to }) => [severity, from, to]).slice(0, 1), [
    ['error', 0, 7],
  ]);
  assert.match(((await ask('check', { pod: 'kind: [' })) as CheckAnswer).podError ?? '', /the pod/);
  assert.match(
    String(await ask('generate', { pod: `${pod}\n---\n${pod.replace('web', 'other')}` })),
    /^2 workloads/,
  );
  const items = (await ask('complete', { configuration: '[a', offset: 2 })) as readonly { label: string }[];
  assert.ok(items.some(({ label }) => label === 'api'));
  await evaluator.close();
});
