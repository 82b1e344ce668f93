import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { vmOptions, type VmRequest } from './options.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-vm-options-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'file');
writeFileSync(file, '');

/** Parses words without --help. */
function parsed(words: readonly string[]): VmRequest {
  const options = vmOptions(words);
  if (options.help) assert.fail('help');
  return options;
}

describe('the options of npm run vm', () => {
  it('end where the command begins; the command keeps its own options', () => {
    const options = parsed(['--tpm', '--memory=300', '--disk', file, 'x', '--help', '-v', '--memory']);
    assert.deepEqual(options.command, ['x', '--help', '-v', '--memory']);
    assert.equal(options.memory, 300);
    assert.deepEqual(options.disks, [file]);
    assert.deepEqual(parsed(['--', '--odd']).command, ['--odd']);
    assert.equal(vmOptions(['-h']).help, true);
    assert.equal(vmOptions(['--help', '--stop', '--memory', '1']).help, true);
  });

  it('are validated before anything is built; an error names the option', () => {
    const gone = join(directory, 'gone');
    const table: readonly [words: readonly string[], message: RegExp][] = [
      [['-v'], /'-v'/],
      [['--nonsense', 'x'], /'--nonsense'/],
      [['--memory'], /'--memory <value>' argument missing/],
      [['--memory', '1G'], /^--memory 1G: this is not an integer from 1 to 999999999$/],
      [['--memory', '0'], /^--memory 0: /],
      [['--config', ''], /^--config: the value is empty$/],
      [['--config', gone], /^--config .*gone: no such file or directory$/],
      [['--config', directory], /^--config .*: this is a directory, not a file$/],
      [['--disk', file, '--disk', gone], /^--disk .*gone: no such file or directory$/],
      [['--virtiofs', gone], /^--virtiofs .*gone: no such file or directory$/],
      [['--virtiofs', file], /^--virtiofs .*file: this is not a directory$/],
      [['--console', join(gone, 'x')], /^--console .*gone: no such file or directory$/],
      [['--console', directory], /^--console .*: this is a directory, not a file$/],
      [['--stop', 'x'], /^--stop takes no command, but x follows$/],
      [
        ['--directory', `/tmp/${'x'.repeat(100)}`],
        /path of agent\.sock in it has 116 bytes; .* has at most 107$/,
      ],
    ];
    for (const [words, message] of table)
      assert.throws(
        () => vmOptions(words),
        (error: unknown) => error instanceof Error && message.test(error.message),
        words.join(' '),
      );
  });
});
