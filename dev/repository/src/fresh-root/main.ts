// `npm run fresh-root -- RELEASE…`: runs commands on the last commit of this checkout in new root file systems
// (options.ts).
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { installAll } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { commandLine, messageOf } from '@kata-agent/tool-command/command-line';
import { readReport, reportFileIn } from '../tests/report-file.js';
import type { TestReport } from '../tests/reporter.js';
import { detachLoops, runInRoot } from './enter.js';
import {
  checkout,
  cloneCheckout,
  environment,
  installNode,
  installDebian,
  createRootDirectory,
} from './root-file-system.js';
import { freshRootOptions, usage } from './options.js';

/** The result of a command in a root. */
interface CommandResult {
  readonly command: string;
  readonly seconds: number;
  readonly exitCode: number | null;
  /** The report of `npm test`; absent for other commands. */
  readonly tests?: TestReport;
}

/** A root and the results of its commands. */
interface RootResult {
  /** The name of the Debian release; `debian` is its version. */
  readonly release: string;
  readonly debian: string;
  readonly kernel: string;
  readonly node: string;
  readonly npm: string;
  readonly commit: string;
  readonly ci: boolean;
  /** Duration of creating the root. */
  readonly rootSeconds: number;
  readonly commands: readonly CommandResult[];
  /** The path of the root, with --keep. */
  readonly directory?: string;
}

const options = commandLine(usage, freshRootOptions);
if (process.getuid?.() !== 0) {
  console.error(
    'npm run fresh-root: must run as root, for mounts and chroot\nhelp: run `sudo npm run fresh-root -- …`',
  );
  process.exit(1);
}
installAll('fresh-root');

const exitCodes: ReadonlyMap<NodeJS.Signals, number> = new Map<NodeJS.Signals, number>([
  ['SIGHUP', 129],
  ['SIGINT', 130],
  ['SIGTERM', 143],
]);
const stop = new AbortController();
let exitCode: number | undefined;
for (const [name, code] of exitCodes)
  process.on(name, () => {
    exitCode ??= code;
    stop.abort(new Error(`stopped by ${name}`));
  });
const printProgress = (text: string): void => console.error(`\u2022 ${text}`);

const results: RootResult[] = [];
let failed = false;
try {
  for (const release of options.releases) {
    const result = await runRelease(release);
    results.push(result);
    failed ||= result.commands.some(({ exitCode }) => exitCode !== 0);
  }
} catch (error) {
  console.error(messageOf(error));
  failed = true;
}
if (options.format === 'json') console.log(JSON.stringify(results, null, 2));
else for (const result of results) console.log(textOf(result));
process.exit(exitCode ?? Number(failed));

async function runRelease(release: string): Promise<RootResult> {
  const directory = createRootDirectory(release);
  const { signal } = stop;
  try {
    const node = options.node ?? process.versions.node;
    const npm = options.npm ?? run('npm', ['--version']).trim();
    printProgress(
      `creating a root of Debian ${release} in ${directory}, with Node.js ${node} and npm ${npm}`,
    );
    const begin = Date.now();
    await installDebian(directory, release, signal);
    await installNode(directory, node, npm, signal);
    const commit = cloneCheckout(directory);
    const env = environment(directory, options.ci);
    const result = { release, ...versions(directory), node, npm, commit, ci: options.ci };
    const commands: CommandResult[] = [];
    const rootSeconds = seconds(begin);
    for (const line of options.commands) commands.push(await runCommand(directory, line, env, signal));
    return { ...result, rootSeconds, commands, ...(options.keep ? { directory } : {}) };
  } finally {
    detachLoops(directory);
    if (options.keep) printProgress(`keeping ${directory}`);
    else rmSync(directory, { recursive: true, force: true });
  }
}

async function runCommand(
  directory: string,
  line: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<CommandResult> {
  printProgress(line);
  const reportFile = reportFileIn(join(directory, checkout));
  rmSync(reportFile, { force: true });
  const begin = Date.now();
  const code = await runInRoot(directory, { line, cwd: checkout, env, signal });
  const tests = readReport(reportFile);
  return {
    command: line,
    seconds: seconds(begin),
    exitCode: code,
    ...(tests === undefined ? {} : { tests }),
  };
}

function versions(directory: string): Pick<RootResult, 'debian' | 'kernel'> {
  return {
    debian: readFileSync(join(directory, 'etc/debian_version'), 'utf8').trim(),
    kernel: run('uname', ['-r']).trim(),
  };
}

/** Returns the seconds since a time, with one decimal. */
function seconds(begin: number): number {
  return Math.round((Date.now() - begin) / 100) / 10;
}

function textOf({ release, debian, node, npm, kernel, commit, rootSeconds, commands }: RootResult): string {
  return [
    `Debian ${debian} (${release}), Node.js ${node}, npm ${npm}, kernel ${kernel}, commit ${commit}: created in ${rootSeconds} s`,
    ...commands.flatMap(({ command, seconds: took, exitCode: code, tests }) => [
      `  ${command}: exit code ${code} after ${took} s`,
      ...(tests === undefined ? [] : testLines(tests)),
    ]),
  ].join('\n');
}

function testLines({ counts, failures, skipped }: TestReport): readonly string[] {
  return [
    `    ${Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    ...failures.map(({ file, name, message }) => `    failed: ${file}: ${name}: ${message}`),
    ...skipped.map(({ file, name, reason }) => `    skipped: ${file}: ${name}: ${reason}`),
  ];
}
