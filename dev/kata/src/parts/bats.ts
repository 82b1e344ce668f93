// The part `bats`: Kata's tests of the agent's API (tests/functional/kata-agent-apis), unchanged.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inPath } from '@kata-agent/setup/bootstrap';
import { copyTests } from '../checkout.js';
import { namespaceOptions, ownRoot } from '../guest/machine-root.js';
import { agentProgram, openConfiguration } from '../guest/paths.js';
import { given, PartSkipped, type PartContext, type TestResult } from '../part.js';
import { requireProgram, runProgram } from '../program.js';
import { readTap } from '../test-output.js';

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
