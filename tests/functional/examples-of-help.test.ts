import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { checkDocument } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { type CommandDefinition, createParser, type Program } from '@kata-agent/cli';
import { program as client } from '@kata-agent/ctl';
import { parseAuthorization } from '@kata-agent/realm';
import { parseAgents, program as realm } from '@kata-agent/realm-program';
import { repository } from '../harness/repository.js';

const programs: readonly Program[] = [client, realm];

/** Splits an example into words as a shell does, without redirections and pipes. */
function words(line: string): readonly string[] {
  const own = line.replace(/\s(?:[|>]|&&|<)\s.*$/, '');
  return [...own.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare ?? '',
  );
}

/** Returns the command that a line calls, if the use is valid. */
async function calledBy(line: string): Promise<readonly string[]> {
  // The part before the program's name is shell: a variable, or a program whose output is piped.
  const start = line.search(/\bkata-(?:agent-ctl|realm) /);
  assert.notEqual(start, -1, line);
  const [name, ...argv] = words(line.slice(start));
  const program = programs.find((each) => each.name === name) ?? assert.fail(line);
  const called: CommandDefinition[] = [];
  const output = new PassThrough().resume();
  const io = { stdin: output, stdout: output, stderr: output, environment: {}, signals: output };
  await createParser(program, io, async (found) => {
    called.push(found);
  }).parseAsync(argv, { from: 'user' });
  return called.map(({ path }) => path);
}

test('every example in the help of a command is a valid use of that command', async () => {
  for (const { name, commands } of programs)
    for (const { path, examples } of commands)
      for (const { line } of examples) {
        assert.ok(line.includes(`${name} ${path}`), line);
        assert.deepEqual(await calledBy(line), [path], line);
      }
});

const root = repository;
const pages = [
  'README.md',
  ...readdirSync(`${root}docs`)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

for (const page of pages) {
  test(`${page}: documents load without warnings, commands are valid, links resolve`, async () => {
    const text = readFileSync(`${root}${page}`, 'utf8');
    for (const [, document = ''] of text.matchAll(/```toml\n(.*?)```/gs)) {
      // The authorization file of a realm.
      if (document.includes('[[operator]]')) {
        const parsed = parseAuthorization(Buffer.from(document), page);
        assert.deepEqual(parsed.ok ? parsed.warnings : parsed.diagnostics, [], document);
        continue;
      }
      // The agents of a collector.
      if (document.includes('[[agent]]')) {
        assert.ok(parseAgents(Buffer.from(document), page).length > 0);
        continue;
      }
      const { diagnostics } = await checkDocument(new TextEncoder().encode(document), page, {
        rules: () => Promise.resolve(createRuleChecker()),
      });
      // Further documents, and files of the guest, cannot be checked here, which are warnings.
      const found = diagnostics.filter(
        ({ message, code, severity }) =>
          !message.startsWith('further documents are delivered') &&
          !(code === 'KA1406' && severity === 'warning'),
      );
      assert.deepEqual(found, [], document);
    }
    for (const [, script = ''] of text.matchAll(/```sh\n(.*?)```/gs)) {
      for (const line of script
        .replaceAll('\\\n', '')
        .split('\n')
        .filter((line) => /^kata-(agent-ctl|realm) /.test(line))) {
        assert.equal((await calledBy(line)).length, 1, line);
        for (const [path] of line.matchAll(/examples\/\S+/g)) assert.ok(existsSync(`${root}${path}`), line);
      }
    }
    for (const [, link = ''] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      assert.ok(existsSync(join(root, dirname(page), link)), link);
  });
}
