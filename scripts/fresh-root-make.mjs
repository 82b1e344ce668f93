// A root file system of a Debian release with Node.js and npm and nothing else, and a clone of this checkout in it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetchSettings, mirrorUris, sourcesFor } from './apt-sources.mjs';
import { root } from './bootstrap.mjs';
import { run } from './image-packages.mjs';

/** The clone, as the root has it. */
export const checkout = '/srv/kata-agent';

/** Not where ca-certificates has its own: installing that package would replace it. */
const certificates = '/etc/fresh-root-ca.crt';

/** A folder for a root: on a disk, since it grows to some GB. */
export function rootFolder(release) {
  const base = process.env.TMPDIR === undefined ? '/var/tmp' : tmpdir();
  return mkdtempSync(join(base, `kata-fresh-${release}-`));
}

/** Fills a folder with a release's required packages and apt. */
export async function makeDebian(folder, release, signal) {
  const settings = fetchSettings();
  await runAsync(
    'mmdebstrap',
    [
      ['--mode=root', '--variant=minbase', '--quiet'],
      settings.map((line) => `--aptopt=${line}`),
      [release, folder, ...sourcesFor(release, mirrorUris())],
    ].flat(),
    { signal },
  );
  // minbase lets a process of the root reach what this machine reaches.
  copyFileSync('/etc/resolv.conf', join(folder, 'etc/resolv.conf'));
}

/** Puts Node.js and npm into a root, as npm's registry has them. */
export async function installNode(folder, node, npm, signal) {
  const downloads = join(root, 'build', 'fresh-root');
  mkdirSync(downloads, { recursive: true });
  const local = join(folder, 'usr/local');
  const [nodePack, npmPack] = await Promise.all([
    pack(downloads, `node-linux-${process.arch}`, node, signal),
    pack(downloads, 'npm', npm, signal),
  ]);
  run('tar', ['-xzf', nodePack, '-C', local, '--strip-components=1', '--no-same-owner', 'package/bin/node']);
  const library = join(local, 'lib/node_modules/npm');
  mkdirSync(library, { recursive: true });
  run('tar', ['-xzf', npmPack, '-C', library, '--strip-components=1', '--no-same-owner', 'package']);
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
}

/** The file of a package, which npm compares with its digest; the cache of npm has it the second time. */
async function pack(folder, name, version, signal) {
  const printed = await runAsync('npm', ['pack', '--json', '--prefer-offline', `${name}@${version}`], {
    cwd: folder,
    signal,
  });
  const [{ filename }] = JSON.parse(printed);
  return join(folder, filename);
}

/** Clones the last commit of this checkout. */
export function cloneCheckout(folder) {
  run('git', ['clone', '--quiet', '--no-hardlinks', root, join(folder, checkout)]);
  return run('git', ['-C', root, 'rev-parse', '--short', 'HEAD']).trim();
}

/** The environment of commands in a root: npm's registry, certificates and proxies are this machine's. */
export function environment(folder, ci) {
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    ...(ci ? { CI: 'true' } : {}),
  };
  for (const [name, value] of Object.entries(process.env))
    if (/^(https?|no|all)_proxy$/i.test(name)) env[name] = value;
  const settings = JSON.parse(run('npm', ['config', 'list', '--json'], { cwd: '/' }));
  for (const name of ['registry', 'proxy', 'https-proxy', 'strict-ssl'])
    if (settings[name] !== null && settings[name] !== undefined)
      env[`npm_config_${name.replaceAll('-', '_')}`] = String(settings[name]);
  const authority = process.env.NODE_EXTRA_CA_CERTS ?? settings.cafile ?? undefined;
  if (authority !== undefined && existsSync(authority)) {
    copyFileSync(authority, join(folder, certificates));
    env.NODE_EXTRA_CA_CERTS = certificates;
    env.npm_config_cafile = certificates;
  }
  return env;
}

/** Runs a program to its end and answers its stdout. The signal asks it to end, and its own tidying is waited for. */
async function runAsync(command, args, { signal, ...options }) {
  signal.throwIfAborted();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', (text) => {
      said[name] += text;
    });
  const kill = () => child.kill('SIGTERM');
  signal.addEventListener('abort', kill);
  const [code] = await once(child, 'close');
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${said.stderr.trim()}`);
  return said.stdout;
}
