import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { CommandDefinition } from '../cli/definition.js';
import { createProgram } from '../cli/program.js';
import { commands } from '../commands/index.js';

/** The words of an example, as a shell makes them; what is sent elsewhere (`> file`, `| program`) is left out. */
function words(line: string): readonly string[] {
  const own = line.replace(/\s(?:[|>]|&&|<)\s.*$/, '');
  return [...own.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

test('every example in the help of a command is a right use of that command', async () => {
  let count = 0;
  for (const definition of commands) {
    for (const { line } of definition.examples) {
      // What stands before the program's name is the shell's: a variable, or another program that feeds it.
      const start = line.indexOf('kata-agent-ctl ');
      assert.notEqual(start, -1, line);
      const [, ...argv] = words(line.slice(start));
      const called: CommandDefinition[] = [];
      const output = new PassThrough().resume();
      const io = { stdin: output, stdout: output, stderr: output, environment: {}, signals: output };
      await createProgram(io, async (found) => {
        called.push(found);
      }).parseAsync(argv, { from: 'user' });
      assert.deepEqual(
        called.map(({ path }) => path),
        [definition.path],
        line,
      );
      count += 1;
    }
  }
  assert.ok(count >= commands.length);
});
