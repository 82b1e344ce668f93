// `npm run fresh-root -- RELEASE…`: what a new machine makes of this checkout (scripts/fresh-root-options.mjs).
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrapAll } from './bootstrap.mjs';
import { run } from './image-packages.mjs';
import { freshRootOptions, usage } from './fresh-root-options.mjs';

const options = commandLine();
if (options.help) {
  console.log(usage);
  process.exit(0);
}
if (process.getuid?.() !== 0) {
  console.error(
    'npm run fresh-root: needs root, for mounts and chroot\nhelp: run `sudo npm run fresh-root -- …`',
  );
  process.exit(1);
}
bootstrapAll('fresh-root');
const make = await import('./fresh-root-make.mjs');
const { detachLoops, runInRoot } = await import('./fresh-root-enter.mjs');

const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const stop = new AbortController();
let stopped;
for (const name of Object.keys(exitCodes))
  process.on(name, () => {
    stopped ??= name;
    stop.abort(new Error(`stopped by ${name}`));
  });
const say = (text) => console.error(`\u2022 ${text}`);

const results = [];
let failed = false;
try {
  for (const release of options.releases) {
    const result = await tryRelease(release);
    results.push(result);
    failed ||= result.commands.some(({ exitCode }) => exitCode !== 0);
  }
} catch (error) {
  console.error(error.message);
  failed = true;
}
if (options.format === 'json') console.log(JSON.stringify(results, null, 2));
else for (const result of results) console.log(textOf(result));
process.exit(stopped === undefined ? Number(failed) : exitCodes[stopped]);

function commandLine() {
  try {
    return freshRootOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${usage}`);
    process.exit(2);
  }
}

async function tryRelease(release) {
  const folder = make.rootFolder(release);
  const { signal } = stop;
  try {
    const node = options.node ?? process.versions.node;
    const npm = options.npm ?? run('npm', ['--version']).trim();
    say(`making a root of Debian ${release} in ${folder}, with Node.js ${node} and npm ${npm}`);
    const begin = Date.now();
    await make.makeDebian(folder, release, signal);
    await make.installNode(folder, node, npm, signal);
    const commit = make.cloneCheckout(folder);
    const env = make.environment(folder, options.ci);
    const result = { release, ...versions(folder), node, npm, commit, ci: options.ci };
    const commands = [];
    const rootSeconds = seconds(begin);
    for (const line of options.commands) commands.push(await tryCommand(folder, line, env, signal));
    return { ...result, rootSeconds, commands, ...(options.keep ? { folder } : {}) };
  } finally {
    detachLoops(folder);
    if (options.keep) say(`kept: ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
}

async function tryCommand(folder, line, env, signal) {
  say(`${line}`);
  const report = join(folder, make.checkout, 'build', 'test-report.json');
  rmSync(report, { force: true });
  const begin = Date.now();
  const exitCode = await runInRoot(folder, { line, cwd: make.checkout, env, signal });
  const tests = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : undefined;
  return { command: line, seconds: seconds(begin), exitCode, ...(tests === undefined ? {} : { tests }) };
}

function versions(folder) {
  return {
    debian: readFileSync(join(folder, 'etc/debian_version'), 'utf8').trim(),
    kernel: run('uname', ['-r']).trim(),
  };
}

function seconds(begin) {
  return Math.round((Date.now() - begin) / 100) / 10;
}

function textOf({ release, debian, node, npm, kernel, commit, rootSeconds, commands }) {
  return [
    `Debian ${debian} (${release}), Node.js ${node}, npm ${npm}, kernel ${kernel}, commit ${commit}: made in ${rootSeconds} s`,
    ...commands.flatMap(({ command, seconds: took, exitCode, tests }) => [
      `  ${command}: exit code ${exitCode} after ${took} s`,
      ...(tests === undefined ? [] : testLines(tests)),
    ]),
  ].join('\n');
}

function testLines({ counts, failures, skipped }) {
  return [
    `    ${Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
    ...failures.map(({ file, name, message }) => `    failed: ${file}: ${name}: ${message}`),
    ...skipped.map(({ file, name, reason }) => `    skipped: ${file}: ${name}: ${reason}`),
  ];
}
