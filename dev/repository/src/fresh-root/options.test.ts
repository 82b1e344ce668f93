import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { freshRootOptions, type FreshRootRequest, usage } from './options.js';

/** Parses words without --help. */
function parsed(words: readonly string[]): FreshRootRequest {
  const options = freshRootOptions(words);
  if (options.help) assert.fail('help');
  return options;
}

describe('the options of npm run fresh-root', () => {
  it('name releases; the default commands are those of the README', () => {
    const options = parsed(['bookworm', 'trixie', 'bookworm']);
    assert.deepEqual(options.releases, ['bookworm', 'trixie']);
    assert.deepEqual(options.commands, ['npm start', 'npm test -- --all']);
    assert.equal(options.ci, true);
    assert.deepEqual(parsed(['trixie', '--command', 'a b', '--command=c']).commands, ['a b', 'c']);
    assert.equal(freshRootOptions(['--help']).help, true);
    assert.match(usage, /^Example: npm run --silent fresh-root -- bookworm/m);
  });

  it('are rejected with an error that names the option', () => {
    for (const [words, error] of [
      [[], /^Error: no release\nhelp: name one of bookworm, trixie$/],
      [['sid'], /^Error: sid: unknown release\nhelp: use one of bookworm, trixie$/],
      [['trixie', '--format', 'xml'], /--format xml: unknown format\nhelp: use text or json$/],
      [['trixie', '--node', 'latest'], /--node latest: a release is one to three numbers/],
      [['trixie', '--command='], /--command: the value is empty/],
    ] as const)
      assert.throws(() => freshRootOptions(words), error);
  });
});
