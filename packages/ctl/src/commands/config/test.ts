import { dirname, relative, resolve } from 'node:path';
import { type CaseResult, parseSuite, renderFailure, runSuite, type TestSuite } from '@kata-agent/analysis';
import type { CommandDefinition, Invocation } from '../../cli/definition.js';
import { CommandError } from '../../command-error.js';
import { ExitCode } from '../../exit-code.js';
import { print } from '../../output/print.js';
import { type Style, styleFor } from '../../output/style.js';
import { readTextInput } from '../../input/read-input.js';
import { faulty } from './diagnostics.js';
import { judgeOfFiles } from './judge-of-files.js';
import { testFiles } from './test-files.js';

export const configTest: CommandDefinition = {
  path: 'config test',
  summary: 'run the tests of configurations: requests, and what has to become of each',
  details: [
    'A test names a method, a request, and what is expected: that it is allowed, denied, or only recorded by a rule (audit), and by which rule. Requests are written as in the .proto, in YAML or JSON. No agent is called.',
    'Ends with 4 when something is not as expected. Tests can be made from what happened: kata-agent-ctl audit show --as-test.',
  ],
  operands: [
    {
      syntax: '<paths...>',
      says: 'files of tests, or folders with files whose names end in .test.yaml or .test.json',
    },
  ],
  options: [
    {
      flags: '--configuration <file>',
      says: 'the configuration of those files that name none',
    },
  ],
  examples: [
    { line: 'kata-agent-ctl config test examples/rules', says: 'All tests below a folder.' },
    {
      line: 'kata-agent-ctl config test recorded.test.yaml --configuration new.toml',
      says: 'What a new configuration would have done with requests that were recorded.',
    },
  ],
  formats: true,
  run: async (invocation) => {
    const { io, operands } = invocation;
    const files = operands.flatMap(testFiles);
    const results = new Map<string, readonly CaseResult[]>();
    for (const file of files) results.set(file, await runFile(file, invocation));
    const all = [...results.values()].flat();
    const failed = all.filter(({ passed }) => !passed);
    const value = { passed: all.length - failed.length, failed: failed.length, tests: all.map(plain) };
    await print(invocation, value, () => text(results, styleFor(io.stdout, io.environment)));
    return failed.length === 0 ? ExitCode.Fine : ExitCode.Mismatch;
  },
};

async function runFile(file: string, invocation: Invocation): Promise<readonly CaseResult[]> {
  const suite = readSuite(file, invocation);
  const named = suite.configuration;
  const configuration = named === undefined ? invocation.options.text('configuration') : beside(file, named);
  if (configuration === undefined)
    throw new CommandError(ExitCode.Usage, `${file} does not say which configuration it tests`, {
      help: ['write it as its key configuration, or give --configuration FILE'],
    });
  const fragments = suite.fragments.map((fragment) => beside(file, fragment));
  return runSuite(suite, await judgeOfFiles(configuration, fragments, invocation));
}

function readSuite(file: string, invocation: Invocation): TestSuite {
  const parsed = parseSuite(readTextInput(file), file);
  if (parsed.ok) return parsed.suite;
  throw faulty(invocation, parsed.diagnostics, {
    message: `${file} cannot be run`,
    help: 'kata-agent-ctl audit show --as-test makes files of tests, and examples/rules has some',
  });
}

/** A path that a file gives, from where we are. */
function beside(file: string, path: string): string {
  return relative('', resolve(dirname(file), path));
}

function plain({ test, passed, verdict, decision }: CaseResult): object {
  const { name, span, method, expect, rule } = test;
  return { file: span.file, line: span.line, name, method, expect, rule, passed, verdict, decision };
}

function text(results: ReadonlyMap<string, readonly CaseResult[]>, style: Style): string {
  return Array.from(results, ([file, cases]) => {
    const failed = cases.filter(({ passed }) => !passed);
    const passed = cases.length - failed.length;
    const head =
      failed.length === 0
        ? `${file}: ${style.green(`${passed} passed`)}\n`
        : `${file}: ${passed} passed, ${style.red(`${failed.length} failed`)}\n`;
    return head + failed.map((result) => `${renderFailure(result)}\n`).join('');
  }).join('');
}
