import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChallenges } from './challenge.js';

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
