import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { relaxGoVersion } from '../checkout.js';
import { unavailable as unavailableCrates } from './cargo.js';
import { unavailable as unavailableModules } from './go.js';

describe('builds that cannot be made here', () => {
  it('are skipped if cargo cannot download or is too old', () => {
    const download =
      'error: failed to load source for dependency `devicemapper`\n\nCaused by:\n  Could not resolve host: github.com';
    assert.match(unavailableCrates(download) ?? '', /cannot download dependencies: .*host.*; help: /);
    const registry = 'error: failed to download from `https://index.crates.io/config.json`';
    assert.match(unavailableCrates(registry) ?? '', /cannot download dependencies: .*; help: /);
    assert.match(
      unavailableCrates('error: rustc 1.85.0 is not supported by the following packages:') ?? '',
      /1\.85\.0/,
    );
  });

  it('are skipped if Go cannot download or is too old', () => {
    const old = 'go: go.mod requires go >= 1.26.7 (running go 1.24.4; GOTOOLCHAIN=local)';
    assert.match(
      unavailableModules(old) ?? '',
      /^go\.mod requires go >= 1\.26\.7 \(running go 1\.24\.4\); help: /,
    );
    const download = 'Get "https://proxy/x": dial tcp: lookup proxy on 10.0.0.1:53: no such host';
    assert.match(unavailableModules(download) ?? '', /cannot download modules: dial tcp: .*; help: /);
  });

  it('fail if the code does not compile', () => {
    assert.equal(unavailableCrates('error[E0308]: mismatched types'), undefined);
    assert.equal(unavailableModules('pkg/katautils/create.go:38:10: undefined: systemdUnitName'), undefined);
  });
});

describe('the Go release that go.mod requires', () => {
  const goMod = 'module m\n\ngo 1.24.13\ntoolchain go1.24.13\n\nrequire x v1.0.0\n';

  it('is lowered to an earlier patch release that is installed', () => {
    const { text, change } = relaxGoVersion(goMod, '1.24.4');
    assert.equal(text, 'module m\n\ngo 1.24.4\n\nrequire x v1.0.0\n');
    assert.match(change ?? '', /1\.24\.4 instead of 1\.24\.13/);
  });

  for (const installed of ['1.24.13', '1.24.20', '1.23.9', '1.26.0', ''])
    it(`is kept with ${installed === '' ? 'none' : installed}`, () => {
      assert.deepEqual(relaxGoVersion(goMod, installed), { text: goMod });
    });
});
