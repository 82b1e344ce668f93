import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withRelay } from './image.js';

describe('the configuration that npm run vm boots', () => {
  const listener = (peers: string): string =>
    `[[listener]]\naddress = "vsock://-1:1024"\npeers = [${peers}]\n`;

  it('admits the relay, or causes an error that names it', () => {
    assert.match(withRelay('[api]\n', 'c.toml'), /^\[api\]\n[^]*peers = \["host","cid:1"\]\n$/);
    const own = listener('"host", "cid:1"');
    assert.equal(withRelay(own, 'c.toml'), own);
    assert.throws(
      () => withRelay(listener('"host"'), 'c.toml'),
      /^Error: c\.toml: no listener admits the relay of npm run vm\nhelp: add "cid:1" to the peers/,
    );
  });
});
