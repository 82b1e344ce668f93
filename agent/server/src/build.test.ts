import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { builtInDocument, builtInMethods, versionText } from './build.js';
import { type BuildFacts, buildFacts } from './build-facts.js';
import { version } from './version.js';

const built: BuildFacts = {
  leftOut: ['ExecProcess', 'SetPolicy'],
  builtFor: { name: 'minimal.toml', sha256: 'ab'.repeat(32) },
  requireConfig: true,
};

describe('decisions of the build', () => {
  it('are empty for the compiled packages', () => {
    assert.equal(builtInMethods(buildFacts), undefined);
    assert.equal(builtInDocument(buildFacts), undefined);
    assert.equal(versionText(buildFacts), version);
  });

  it('remove only the given methods', () => {
    const methods = builtInMethods(built);
    assert.deepEqual(
      methodNames.filter((name) => methods?.has(name) !== true),
      ['ExecProcess', 'SetPolicy'],
    );
  });

  it('are printed by --version', () => {
    assert.equal(
      versionText(built),
      [
        version,
        `built for minimal.toml, sha256 ${'ab'.repeat(32)}`,
        'does not start without a configuration',
        'left out: ExecProcess, SetPolicy',
      ].join('\n'),
    );
    assert.match(versionText({ ...built, document: '[api]\n' }), /built in; no other is read/);
  });

  it('return the exact bytes of a built-in document', () => {
    const document = '# Größe\n[api]\nallowed_endpoints = ["@pod"]\n';
    assert.equal(builtInDocument(built), undefined);
    assert.deepEqual(builtInDocument({ ...built, document }), {
      name: 'minimal.toml',
      bytes: new Uint8Array(Buffer.from(document)),
    });
  });
});
