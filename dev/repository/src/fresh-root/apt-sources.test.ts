import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sourcesFor, urisIn } from './apt-sources.js';

describe('the apt sources of a fresh root', () => {
  it('are the mirrors of this machine for the release', () => {
    const uris = urisIn(
      'Debian|http://mirror/debian/\nDebian-Security|http://mirror/security/\nmine|file:/x/\n',
    );
    assert.deepEqual(sourcesFor('bookworm', uris), [
      'deb http://mirror/debian/ bookworm main',
      'deb http://mirror/debian/ bookworm-updates main',
      'deb http://mirror/security/ bookworm-security main',
    ]);
    assert.match(urisIn('').main, /^http:\/\/deb\.debian\.org/);
  });
});
