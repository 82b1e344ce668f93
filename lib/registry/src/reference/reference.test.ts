import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasImageCode } from '../errors/image-error.js';
import { formatReference, matchesPattern, parseReference, parseReferencePattern } from './reference.js';

const digest = `sha256:${'0a'.repeat(32)}`;
const sha512 = `sha512:${'0a'.repeat(64)}`;

describe('an image reference', () => {
  it('is normalized as by distribution/reference', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['nginx', 'docker.io/library/nginx:latest'],
      ['docker.io/nginx', 'docker.io/library/nginx:latest'],
      ['index.docker.io/library/nginx:1', 'docker.io/library/nginx:1'],
      ['team/app', 'docker.io/team/app:latest'],
      ['library/foo/bar', 'docker.io/library/foo/bar:latest'],
      ['localhost/app', 'localhost/app:latest'],
      ['LOCALHOST/app', 'localhost/app:latest'],
      ['REGISTRY.Example:5000/a/b_c__d-e---f.g:T-1.x', 'registry.example:5000/a/b_c__d-e---f.g:T-1.x'],
      ['192.168.0.1', 'docker.io/library/192.168.0.1:latest'],
      ['192.168.0.1:80', 'docker.io/library/192.168.0.1:80'],
      ['[fc00::1]:5000/docker', '[fc00::1]:5000/docker:latest'],
      [`nginx@${digest}`, `docker.io/library/nginx@${digest}`],
      [`r.example/a:t@${digest}`, `r.example/a:t@${digest}`],
      [`r.example/a@${sha512}`, `r.example/a@${sha512}`],
      [
        'docker.io/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a',
        'docker.io/library/1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a:latest',
      ],
    ];
    for (const [text, expected] of cases) assert.equal(formatReference(parseReference(text)), expected);
    // Its own text is the same reference.
    for (const [, text] of cases) assert.equal(formatReference(parseReference(text)), text);
  });

  it('is refused when it is malformed', () => {
    for (const text of [
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      'docker///docker',
      'a/Docker',
      'Docker',
      'Host/app',
      '-docker',
      'docker-/a',
      '_a/b',
      'a..b/c',
      'a_.b/c',
      'https://github.com/a/b',
      '[fc00::1]',
      '[fc00::1]:5000',
      'fc00::1:5000/debian',
      '[fe80::1%eth0]:5000/a',
      '[::::]/a',
      '[2001:db8::192.0.2.33]:5000/a',
      'r.example:/a',
      'r.example:0/a',
      'r.example:65536/a',
      'r.example:123456/a',
      'r..example/a',
      '-r.example/a',
      'a:',
      'a:b:c',
      'a:-x',
      `a:${'x'.repeat(129)}`,
      'a@',
      'a@sha256:00',
      `a@${digest}0`,
      `a@${digest.toUpperCase()}`,
      `a@md5:${'0'.repeat(32)}`,
      `a@sha384:${'0'.repeat(96)}`,
      `a@${digest}@${digest}`,
      `@${digest}`,
      `a:@${digest}`,
      '0a'.repeat(32),
      `${'a/'.repeat(130)}b`,
      'a'.repeat(2_000),
      'a b',
      'a\n',
      'a\0',
      'r.example/../a',
      'r.example/%2e%2e/a',
      'r.example/a?x',
      'r.example/a#x',
      'user@r.example/a',
      'ä',
      'r.exämple/a',
    ])
      assert.throws(
        () => parseReference(text),
        (error) => hasImageCode(error, 'reference-invalid'),
        text,
      );
  });
});

describe('a pattern of images', () => {
  const matches = (pattern: string, text: string): boolean =>
    matchesPattern(parseReferencePattern(pattern), parseReference(text));

  it('has one segment for *, and one or more for a last **', () => {
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['registry.example/team/*', 'registry.example/team/app', true],
      ['registry.example/team/*', 'registry.example/team/app:x', true],
      ['registry.example/team/*', `registry.example/team/app@${digest}`, true],
      ['registry.example/team/*', 'REGISTRY.example/team/app', true],
      ['registry.example/team/*', 'registry.example/team/app/part', false],
      ['registry.example/team/*', 'registry.example/team', false],
      ['registry.example/team/*', 'registry.example/teams/app', false],
      ['registry.example/team/*', 'registry.example:443/team/app', false],
      ['registry.example/team/*', 'evil.example/registry.example/team/app', false],
      ['registry.example/*/app', 'registry.example/team/app', true],
      ['registry.example/*/app', 'registry.example/team/other', false],
      ['registry.example/**', 'registry.example/a', true],
      ['registry.example/**', 'registry.example/a/b/c', true],
      ['registry.example/**', 'registry.example.evil/a', false],
      ['registry.example/a/**', 'registry.example/a', false],
      ['registry.example/a/**', 'registry.example/ab/c', false],
      ['registry.example/a', 'registry.example/a', true],
      ['registry.example/a', 'registry.example/b', false],
      ['docker.io/library/*', 'nginx', true],
      ['docker.io/*', 'nginx', false],
      ['localhost:5000/*', 'localhost:5000/a', true],
      ['**', 'anything', true],
    ];
    for (const [pattern, text, expected] of cases)
      assert.equal(matches(pattern, text), expected, `${pattern} ${text}`);
  });

  it('is refused when it could mean something else', () => {
    for (const text of [
      '',
      '*',
      'nginx',
      'registry.example',
      'registry.example/',
      'library/nginx',
      '*.example/a',
      '*/a',
      '**/a',
      'r.example/**/a',
      'r.example/a*',
      'r.example/***',
      'R.example/a',
      'r.example/A',
      'r.example/a:x',
      `r.example/a@${digest}`,
      'https://r.example/a',
      'r.example//a',
      'r.example/../a',
    ])
      assert.throws(
        () => parseReferencePattern(text),
        (error) => hasImageCode(error, 'settings-invalid'),
        text,
      );
  });
});
