import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { describe, it, test } from 'node:test';
import { hasImageCode } from '../errors/image-error.js';
import { Answer, defaultTransportLimits, Transport } from '../http/transport.js';
import type { Endpoint } from './endpoint.js';
import { EndpointClient, parseChallenges } from './endpoint-client.js';

/** A registry at an address that redirects a blob; what follows is a real connection. */
function clientOf(address: string | undefined, location: string): EndpointClient {
  const { signal } = new AbortController();
  const transport = new Transport({ ca: [], limits: defaultTransportLimits, userAgent: 'test', signal });
  let first = true;
  const get: Transport['get'] = async (url, headers, options) => {
    if (!first) return await transport.get(url, headers, options);
    first = false;
    const message = new IncomingMessage(new Socket());
    message.statusCode = 307;
    message.headersDistinct['location'] = [location];
    return new Answer(message, { name: 'registry.example', address }, defaultTransportLimits);
  };
  return new EndpointClient(
    { host: 'registry.example', repository: 'team/app', tokenHosts: [], isMirror: false },
    { get },
  );
}

const blob = (client: EndpointClient): Promise<Answer> => client.get('blobs/sha256:0', { follow: true });

// Nothing listens at these ports: a connection that is tried fails in another way.
for (const location of [
  'https://127.0.0.1:1/',
  'https://localhost:1/',
  'https://[::1]:1/',
  'https://[::ffff:127.0.0.1]:1/',
  'https://2130706433:1/',
  'https://0x7f.1:1/',
  'https://169.254.169.254/latest/meta-data/',
])
  test(`a registry elsewhere, or behind a proxy, redirects no blob to ${location}`, async () => {
    for (const address of ['203.0.113.1', undefined])
      await assert.rejects(blob(clientOf(address, location)), (error: unknown) => {
        assert.ok(hasImageCode(error, 'redirect-refused'), String(error));
        assert.match(String(error), /an address of the guest or of its cloud/);
        return true;
      });
  });

test('a registry in the guest may have its blobs there, too', async () => {
  await assert.rejects(blob(clientOf('127.0.0.1', 'https://127.0.0.1:1/')), (error: unknown) =>
    hasImageCode(error, 'registry-unreachable'),
  );
});

/** A client that gets these answers in order, and records what it asks for. */
function scripted(
  endpoint: Partial<Endpoint>,
  answers: readonly {
    readonly status: number;
    readonly headers?: Record<string, string>;
    readonly body?: string;
  }[],
): {
  readonly client: EndpointClient;
  readonly asked: { readonly url: string; readonly authorization?: string }[];
} {
  const asked: { readonly url: string; readonly authorization?: string }[] = [];
  const get: Transport['get'] = async (url, { Authorization: authorization }) => {
    const answer = answers[asked.length] ?? assert.fail(url.href);
    asked.push({ url: url.href, ...(authorization === undefined ? {} : { authorization }) });
    const message = new IncomingMessage(new Socket());
    message.statusCode = answer.status;
    for (const [name, value] of Object.entries(answer.headers ?? {})) message.headersDistinct[name] = [value];
    message.push(answer.body ?? '');
    message.push(null);
    return new Answer(message, { name: 'registry.example', address: '203.0.113.1' }, defaultTransportLimits);
  };
  const settings = { host: 'registry.example', repository: 'team/app', tokenHosts: [], isMirror: false };
  return { client: new EndpointClient({ ...settings, ...endpoint }, { get }), asked };
}

const challenge = {
  status: 401,
  headers: { 'www-authenticate': 'Bearer realm="https://tokens.example/t"' },
};

describe('an open endpoint', () => {
  const manifest = 'manifests/latest';

  it('follows a redirect of a manifest, which another endpoint refuses', async () => {
    const answers = [{ status: 307, headers: { location: 'https://other.example/m' } }, { status: 200 }];
    const open = scripted({ isOpen: true }, answers);
    assert.equal((await open.client.get(manifest)).status, 200);
    assert.equal(open.asked[1]?.url, 'https://other.example/m');
    const closed = scripted({}, answers);
    await assert.rejects(closed.client.get(manifest), (error) => hasImageCode(error, 'redirect-refused'));
  });

  it('asks any host for a token without a credential, and none with one', async () => {
    const answers = [challenge, { status: 200, body: '{"token": "t"}' }, { status: 200 }];
    const anonymous = scripted({ isOpen: true }, answers);
    assert.equal((await anonymous.client.get(manifest)).status, 200);
    assert.deepEqual(anonymous.asked[1], {
      url: 'https://tokens.example/t?scope=repository%3Ateam%2Fapp%3Apull',
    });
    assert.equal(anonymous.asked[2]?.authorization, 'Bearer t');
    const credential = { scope: 'registry.example', user: 'u', password: 'p' };
    for (const endpoint of [{ isOpen: true, credential }, {}]) {
      const { client, asked } = scripted(endpoint, answers);
      await assert.rejects(client.get(manifest), (error) => hasImageCode(error, 'token-host-not-listed'));
      assert.equal(asked.length, 1);
    }
  });
});

describe('parseChallenges', () => {
  it('reads what registries send', () => {
    assert.deepEqual(
      parseChallenges([
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      ]),
      { scheme: 'bearer', realm: 'https://auth.docker.io/token', service: 'registry.docker.io' },
    );
    assert.deepEqual(parseChallenges(['Basic realm="Registry Realm"']), { scheme: 'basic' });
    assert.deepEqual(parseChallenges(['basic']), { scheme: 'basic' });
    assert.deepEqual(parseChallenges(['bearer REALM = https://r.example/token']), {
      scheme: 'bearer',
      realm: 'https://r.example/token',
      service: undefined,
    });
    // A comma and a scheme in a quoted text are no other challenge.
    assert.deepEqual(
      parseChallenges([String.raw`Bearer realm="https://r.example/t?a=\"1\",Basic realm=x", service=s`]),
      {
        scheme: 'bearer',
        realm: 'https://r.example/t?a="1",Basic realm=x',
        service: 's',
      },
    );
  });

  it('prefers Bearer, and ignores what is not supported', () => {
    const bearer = { scheme: 'bearer', realm: 'https://r.example/', service: undefined };
    assert.deepEqual(parseChallenges(['Basic realm="x", Bearer realm="https://r.example/"']), bearer);
    assert.deepEqual(parseChallenges(['Basic realm="x"', 'Bearer realm="https://r.example/"']), bearer);
    assert.deepEqual(parseChallenges(['Negotiate', 'NTLM', 'Basic realm="x"']), { scheme: 'basic' });
    for (const values of [
      [],
      [''],
      ['Digest realm="x"'],
      ['Bearer service="x"'],
      [`Basic ${'x'.repeat(5_000)}`],
    ])
      assert.equal(parseChallenges(values), undefined);
  });
});
