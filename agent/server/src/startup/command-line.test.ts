import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settings } from '@kata-agent/config';
import { parseCommandLine } from './command-line.js';

describe('the command line', () => {
  it('overrides nothing by default', () => {
    assert.deepEqual(parseCommandLine([]), {
      task: 'serve',
      format: 'text',
      configFlag: undefined,
      requireConfig: false,
      relaxedPermissions: false,
      stateDirectory: undefined,
      flags: {},
    });
  });

  it('has a flag for each setting that can be overridden, with the given text', () => {
    for (const { key, override, type } of settings) {
      if (override === undefined) continue;
      assert.deepEqual(
        parseCommandLine([override.flag, 'some-text']).flags,
        { [key]: 'some-text' },
        override.flag,
      );
      if (type.name === 'boolean')
        assert.deepEqual(parseCommandLine([override.flag]).flags, { [key]: 'true' });
    }
  });

  it('has the document and the tasks', () => {
    const { task, format, configFlag, requireConfig } = parseCommandLine(
      '-c /etc/x.toml --require-config --explain --format json'.split(' '),
    );
    assert.deepEqual(
      { task, format, configFlag, requireConfig },
      {
        task: 'explain',
        format: 'json',
        configFlag: '/etc/x.toml',
        requireConfig: true,
      },
    );
  });

  it('normalizes the state directory', () => {
    assert.equal(parseCommandLine(['--state-dir', '/tmp/a/../b/']).stateDirectory, '/tmp/b');
  });

  for (const [name, argv] of [
    ['an unknown flag', ['--nope']],
    ['an invalid format', ['--check', '--format', 'xml']],
    ['two tasks', ['--check', '--explain']],
    ['a relative state directory', ['--state-dir', 'state']],
    ['a state directory too long for a socket', ['--state-dir', `/${'x'.repeat(80)}`]],
    ['too many arguments', ['config.toml']],
  ] as const) {
    it(`${name} exits with 2`, (t) => {
      t.mock.method(process.stderr, 'write', () => true);
      assert.throws(() => parseCommandLine(argv), { exitCode: 2 });
    });
  }
});
