import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasImageCode } from '../errors/image-error.js';
import { parseReference } from '../reference/reference.js';
import { credentialFor, parseCredentials } from './credentials.js';
import { endpointsOf } from './endpoint.js';

const auth = (text: string): { readonly auth: string } => ({ auth: Buffer.from(text).toString('base64') });
const parse = (value: unknown): ReturnType<typeof parseCredentials> =>
  parseCredentials(Buffer.from(JSON.stringify(value)));

describe('credentials', () => {
  it('are chosen by the longest scope of whole segments', () => {
    const credentials = parse({
      auths: {
        'r.example': auth('all:1:2'),
        'r.example/team': auth('team:2'),
        'https://index.docker.io/v1/': auth('hub:3'),
        'R.other:5000': auth('port:4'),
      },
    });
    const userFor = (text: string): string | undefined =>
      credentialFor(parseReference(text), credentials)?.user;
    assert.equal(userFor('r.example/a'), 'all');
    assert.equal(userFor('r.example/team/a'), 'team');
    assert.equal(userFor('r.example/teams/a'), 'all');
    assert.equal(userFor('nginx'), 'hub');
    assert.equal(userFor('r.other:5000/a'), 'port');
    for (const text of ['r.other/a', 'r.example:5000/a', 'r.example.evil/a', 'evil.example/r.example/team'])
      assert.equal(userFor(text), undefined, text);
    assert.equal(credentials[0]?.password, '1:2');
  });

  it('are refused, without the secret, when they cannot be used', () => {
    for (const value of [
      [],
      {},
      { auths: { 'r.example': {} } },
      { auths: { 'r.example': { auth: 'c2VjcmV0' } } },
      { auths: { 'r.example': { auth: 'c2VjcmV0OnNlY3JldA' } } },
      { auths: { 'r.example': auth(':secret') } },
      { auths: { 'r.example': auth('secret:a\r\nb') } },
      { auths: { 'https://r.example/v1': auth('secret:secret') } },
      { auths: { 'r.example/Team': auth('secret:secret') } },
      { auths: {}, credsStore: 'secret' },
      { auths: {}, credHelpers: { 'r.example': 'secret' } },
      { auths: { 'r.example': { identitytoken: 'secret' } } },
    ])
      assert.throws(
        () => parse(value),
        (error) =>
          hasImageCode(error, 'settings-invalid') &&
          !/secret|c2Vj/.test(error.message.replaceAll('credentials', '')),
        JSON.stringify(value),
      );
  });
});

describe('endpoints', () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const settings = {
    credentials: parse({ auths: { 'docker.io': auth('hub:1'), 'm.example': auth('mirror:1') } }),
    tokenHosts: { 'm.example': ['t.example'] },
    mirrors: { 'docker.io': 'm.example/hub', 'docker.io/library': 'm.example:5000' },
  };

  it('are a mirror for a digest, without credentials, and the registry', () => {
    const [mirror, hub, ...more] = endpointsOf(parseReference(`team/app@${digest}`), settings);
    assert.deepEqual(mirror, {
      host: 'm.example',
      repository: 'hub/team/app',
      tokenHosts: ['t.example'],
      isMirror: true,
    });
    assert.deepEqual(
      { ...hub, credential: undefined },
      {
        host: 'registry-1.docker.io',
        repository: 'team/app',
        credential: undefined,
        tokenHosts: ['auth.docker.io'],
        isMirror: false,
      },
    );
    assert.equal(hub?.credential?.user, 'hub');
    assert.deepEqual(more, []);
    const [longest] = endpointsOf(parseReference(`nginx@${digest}`), settings);
    assert.deepEqual([longest?.host, longest?.repository], ['m.example:5000', 'nginx']);
  });

  it('are the registry alone for a tag, and for other registries', () => {
    for (const text of [
      'nginx',
      'nginx:1',
      `docker.io.example/a@${digest}`,
      `r.example/docker.io/a@${digest}`,
    ])
      assert.deepEqual(
        endpointsOf(parseReference(text), settings).map(({ isMirror }) => isMirror),
        [false],
      );
  });
});
