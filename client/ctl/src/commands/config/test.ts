import { dirname, relative, resolve } from 'node:path';
import { type CaseResult, parseSuite, renderFailure, runSuite, type TestSuite } from '@kata-agent/analysis';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  readTextInput,
  type Style,
  styleFor,
} from '@kata-agent/cli';
import { faulty } from './diagnostics.js';
import { authorizerOfFiles } from './authorizer-of-files.js';
import { testFiles } from './test-files.js';

export const configTest: CommandDefinition = {
  path: 'config test',
  summary: 'run tests of configurations: requests and their expected decisions',
  details: [
    'A test names a method, a request and the expected decision: allow, deny, or audit if a rule only records the request; and optionally the rule that decides. Requests are written as in the .proto file, in YAML or JSON. No agent is called.',
    'Rules that see the image of a container are evaluated if the test has the key image: from (host, pause_bundle or pulled), reference, digest, manifest_digest and config, with the names that rules use. Without it such a rule is not evaluated for a container whose image the guest pulls, and a test fails that does not expect another rule to deny. The root of the image is not known: runs_image_entrypoint() takes paths as they are written.',
    'Exits with 4 if a decision differs, or if a rule that matters could not be evaluated. To make tests from recorded calls: kata-agent-ctl audit show --as-test.',
  ],
  operands: [
    {
      syntax: '<paths...>',
      description: 'test files, or directories with files that end in .test.yaml or .test.json',
    },
  ],
  options: [
    {
      flags: '--configuration <file>',
      description: 'the configuration for test files that name none',
    },
  ],
  examples: [
    { line: 'kata-agent-ctl config test examples/rules', description: 'Runs all tests below a directory.' },
    {
      line: 'kata-agent-ctl config test recorded.test.yaml --configuration new.toml',
      description: 'Compares what a new configuration decides with recorded decisions.',
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
    return failed.length === 0 ? ExitCode.Success : ExitCode.Mismatch;
  },
};

async function runFile(file: string, invocation: Invocation): Promise<readonly CaseResult[]> {
  const suite = readSuite(file, invocation);
  const named = suite.configuration;
  const configuration = named === undefined ? invocation.options.text('configuration') : beside(file, named);
  if (configuration === undefined)
    throw new CommandError(ExitCode.Usage, `${file} does not name the configuration to test`, {
      help: ['set its key configuration, or pass --configuration FILE'],
    });
  const fragments = suite.fragments.map((fragment) => beside(file, fragment));
  return runSuite(suite, await authorizerOfFiles(configuration, fragments, invocation));
}

function readSuite(file: string, invocation: Invocation): TestSuite {
  const parsed = parseSuite(readTextInput(file), file);
  if (parsed.ok) return parsed.suite;
  throw faulty(invocation, parsed.diagnostics, {
    message: `${file} cannot be run`,
    help: 'for test files, see kata-agent-ctl audit show --as-test and examples/rules',
  });
}

/** Resolves a path in a test file against the working directory. */
function beside(file: string, path: string): string {
  return relative('', resolve(dirname(file), path));
}

function plain({ test, passed, actual, decision, notEvaluated }: CaseResult): object {
  const { name, span, method, expect, rule } = test;
  return {
    file: span.file,
    line: span.line,
    name,
    method,
    expect,
    rule,
    passed,
    outcome: actual,
    notEvaluated,
    decision,
  };
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
