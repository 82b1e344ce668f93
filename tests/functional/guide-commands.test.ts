import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pageBlocks } from '../harness/guide.js';
import { GuideDirectory } from '../harness/guide-directory.js';
import { repository } from '../harness/repository.js';

const directory = new GuideDirectory();
after(() => directory.dispose());
symlinkSync(join(repository, 'examples'), join(directory.path, 'examples'));

/** Files that the page supposes: an audit log, a configuration of Kata's agent, earlier and further documents. */
const supposed = /audit\.log|agent\.toml|old\.toml|narrow\.toml/;

const commands = pageBlocks('docs/writing-a-configuration.md')
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'))
  .filter((line) => line.startsWith('kata-agent-ctl ') && !supposed.test(line));

test('the commands of “Writing a configuration” succeed in their order, as they are printed', () => {
  assert.ok(commands.some((line) => line.includes('config generate')) && commands.length >= 6);
  for (const command of commands) {
    const { status, output } = directory.run(command);
    assert.equal(status, 0, `${command}\n${output}`);
  }
});
