import { readdirSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import {
  type CaseResult,
  type OfflineAuthorizer,
  offlineAuthorizer,
  parseSuite,
  renderFailure,
  runSuite,
  type TestSuite,
} from '@kata-agent/analysis';
import {
  type CommandDefinition,
  CommandError,
  ExitCode,
  type Invocation,
  print,
  readTextInput,
  type Style,
  styleFor,
  unreadable,
} from '@kata-agent/cli';
import { type ApiDocument, type Configuration, parseApiFragment } from '@kata-agent/config';
import type { RuleBook } from '@kata-agent/gate/rules';
import { faulty, loadedFile } from './load-file.js';

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

const suffix = /\.test\.(?:ya?ml|json)$/;

/** Returns a file as given, and the files below a directory whose names end as tests do, sorted. */
function testFiles(path: string): readonly string[] {
  if (!tell(path, () => statSync(path)).isDirectory()) return [path];
  const names = tell(path, () => readdirSync(path, { recursive: true, encoding: 'utf8' }));
  const found = names
    .filter((name) => suffix.test(name))
    .sort()
    .map((name) => join(path, name));
  if (found.length > 0) return found;
  throw new CommandError(ExitCode.Usage, `no tests found below ${path}`, {
    help: ['test files end in .test.yaml, .test.yml or .test.json'],
  });
}

function tell<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw unreadable(path, error);
  }
}

/** Returns an authorizer for this configuration, with these fragments applied as by SetPolicy. */
async function authorizerOfFiles(
  file: string,
  fragments: readonly string[],
  invocation: Invocation,
): Promise<OfflineAuthorizer> {
  let configuration = await loadedFile(file, invocation);
  for (const fragment of fragments) {
    configuration = tightened(configuration, await fragmentOf(fragment, configuration, invocation));
  }
  return offlineAuthorizer(configuration, await ruleBookOf(configuration));
}

/** Applies a fragment, which restricts as a further document does. */
function tightened(configuration: Configuration, fragment: ApiDocument): Configuration {
  const { api } = configuration;
  return { ...configuration, api: { ...api, documents: [...api.documents, fragment] } };
}

async function fragmentOf(
  file: string,
  { api }: Configuration,
  invocation: Invocation,
): Promise<ApiDocument> {
  const rules = async () => (await import('@kata-agent/gate/rules')).createRuleChecker();
  const ruleNames = api.documents.flatMap(({ rules }) => rules.map(({ name }) => name));
  const parsed = await parseApiFragment(readTextInput(file), file, { ruleNames, rules });
  if (parsed.ok) return parsed.document;
  throw faulty(invocation, parsed.diagnostics, {
    message: `${file} is not a fragment of [api]`,
    help: 'a fragment has only allowed_endpoints, blocked_endpoints and [[api.rule]]',
  });
}

/** Returns the compiled rules of a configuration, or undefined if it has none: CEL is then not loaded. */
async function ruleBookOf({ api }: Configuration): Promise<RuleBook | undefined> {
  const rules = api.documents.flatMap((document) => document.rules);
  if (rules.length === 0) return undefined;
  const { compileRules } = await import('@kata-agent/gate/rules');
  return compileRules(rules);
}
