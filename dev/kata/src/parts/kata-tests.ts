// The part `bats`: Kata's tests of the agent's API (tests/functional/kata-agent-apis), unchanged.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPath, root } from '@kata-agent/setup/bootstrap';
import { copyTests, requireProgram, runProgram } from '../plan/run-program.js';
import { agentProgram, namespaceOptions, openConfiguration, ownRoot } from '../guest/paths.js';
import { given, type PartContext, PartSkipped, type TestResult } from '../plan/part.js';

const testSeconds = 900;

const testDirectory = 'tests/functional/kata-agent-apis';

/** The tests in the mount namespace in which they run. */
const inNamespace = `/run/source/${testDirectory}`;

/** Why a file of tests is not run; undefined if it is. */
function reasonToSkip(file: string): string | undefined {
  if (file.startsWith('test_vm_')) return 'boots a machine with qemu and Cloud Hypervisor';
  if (file === 'test_create_container.bats' && !(inPath('skopeo') && inPath('umoci')))
    return 'pulls an image; help: apt-get install skopeo umoci';
  return undefined;
}

/** Runs the files of tests that can run here. The others are skipped, one result for each file. */
export async function runBats(context: PartContext): Promise<readonly TestResult[]> {
  const { programs: kataPrograms, source, work, printProgress } = context;
  requireProgram('bats', 'apt-get install bats');
  const directory = join(work, 'bats');
  const copy = join(directory, 'source');
  copyTests(given(source, '--source'), copy);
  const tests = join(copy, testDirectory);
  if (!existsSync(tests)) throw new PartSkipped(`the checkout has no ${testDirectory}`);
  const programs = join(directory, 'programs');
  const kata = join(directory, 'kata');
  mkdirSync(programs, { recursive: true });
  mkdirSync(join(kata, 'bin'), { recursive: true });
  copyFileSync(given(kataPrograms['agent-ctl'], '--agent-ctl').path, join(kata, 'bin', 'kata-agent-ctl'));
  chmodSync(join(kata, 'bin', 'kata-agent-ctl'), 0o755);
  script(programs, 'kata-agent', `exec '${process.execPath}' '${agentProgram}' -c '${openConfiguration}'`);
  // The tests run as root already.
  script(programs, 'sudo', 'exec env "$@"');
  const files = readdirSync(join(tests, 'api-tests')).filter((name) => name.endsWith('.bats'));
  const skipped = files.flatMap((name) => {
    const reason = reasonToSkip(name);
    return reason === undefined ? [] : [{ name, outcome: 'skipped', reason } as const];
  });
  const run = files.filter((name) => reasonToSkip(name) === undefined);
  if (run.length === 0) return skipped;
  printProgress(`running ${run.join(', ')}`);
  // The paths of the agent, of agent-ctl and of the policy are fixed in the tests.
  const setup = [
    'mkdir -p /run/work /run/upper',
    'cp "$1"/* /run/upper/',
    'mount -t overlay -o lowerdir=/usr/bin,upperdir=/run/upper,workdir=/run/work kata /usr/bin',
    'mkdir -p /run/opt/kata /opt',
    'mount --bind /run/opt /opt',
    'cp -r "$2"/. /opt/kata/',
    'mkdir /run/source',
    'mount --bind "$3" /run/source',
    'mount -t tmpfs kata /tmp',
    'cd /opt',
    'shift 3',
    `. ${inNamespace}/../../common.bash`,
    `. ${inNamespace}/setup_common.sh`,
    'install_policy_doc',
    'setup_agent',
    `cd ${inNamespace}/api-tests`,
    'exec bats --formatter tap "$@"',
  ].join(' && ');
  const { code, output } = await runProgram(
    'unshare',
    [
      ...namespaceOptions('net', 'uts', 'ipc'),
      'bash',
      '-c',
      ownRoot + setup,
      'bash',
      directory,
      '',
      programs,
      kata,
      copy,
      ...run,
    ],
    { env: { target_branch: 'main' }, seconds: testSeconds },
  );
  writeFileSync(join(directory, 'output.txt'), output);
  const results = readTap(output);
  if (results.length === 0) throw new Error(`no test ran (exit code ${code}):\n${output.trimEnd()}`);
  return [...results, ...skipped];
}

function script(directory: string, name: string, command: string): void {
  writeFileSync(join(directory, name), `#!/bin/sh\n${command}\n`, { mode: 0o755 });
}

// The part `genpolicy`: the request cases of genpolicy's tests against generated configurations.

export async function runGenpolicy({ source }: PartContext): Promise<readonly TestResult[]> {
  const program = join(root, 'tests', 'dist', 'interop', 'genpolicy-cases.js');
  const { code, output } = await runProgram(
    process.execPath,
    [program, '--source', given(source, '--source'), '--verbose'],
    {
      seconds: 600,
    },
  );
  const results = readGenpolicyCases(output);
  if (results.length === 0) throw new Error(`no case was decided (exit code ${code}):\n${output.trimEnd()}`);
  return results;
}

// Reads the results of tests from the output of bats (TAP) and of genpolicy's cases.

/** Reads TAP as bats writes it. The diagnostics below a failed test are its reason. */
export function readTap(output: string): readonly TestResult[] {
  const tests: { name: string; outcome: TestResult['outcome']; reason?: string }[] = [];
  for (const line of output.split('\n')) {
    const test = /^(not )?ok \d+ (.*?)(?: # skip ?(.*))?$/.exec(line);
    if (test !== null) {
      const [, not, name = '', skip] = test;
      if (skip !== undefined)
        tests.push({ name, outcome: 'skipped', ...(skip === '' ? {} : { reason: skip }) });
      else tests.push({ name, outcome: not === undefined ? 'passed' : 'failed' });
      continue;
    }
    const last = tests.at(-1);
    const diagnostic = /^# +(.*)$/.exec(line)?.[1];
    if (last?.outcome === 'failed' && diagnostic !== undefined)
      last.reason = last.reason === undefined ? diagnostic : `${last.reason} ${diagnostic}`;
  }
  return tests;
}

/**
 * Reads the lines of `genpolicy-cases --verbose`. A request that genpolicy refuses and the configuration allows is a
 * failure, and so is one that is denied as an allowed one is: the decision may be about something else than the case. One
 * that is only denied here is not counted as passed: docs/records/genpolicy-cases.md has the decision on each.
 */
export function readGenpolicyCases(output: string): readonly TestResult[] {
  return [...output.matchAll(/^(allowed|refused) by genpolicy, (passes|denied|unclear): (.+)$/gm)].map(
    ([, there, here, name = '']) => {
      if (here === 'unclear') return { name, outcome: 'failed', reason: 'no rule of its own denies it' };
      if ((there === 'allowed') === (here === 'passes')) return { name, outcome: 'passed' };
      return there === 'refused'
        ? { name, outcome: 'failed', reason: 'genpolicy refuses it' }
        : { name, outcome: 'skipped', reason: 'denied here: docs/records/genpolicy-cases.md' };
    },
  );
}
