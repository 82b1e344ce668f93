// A root file system of a Debian release with Node.js, npm and a clone of this checkout, and nothing else.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { run } from '@kata-agent/setup/run-program';
import { fetchSettings, mirrorUris, sourcesFor } from './apt-sources.js';

/** The path of the clone in the root. */
export const checkout = '/srv/kata-agent';

/**
 * The path of the CA certificates. Not ca-certificates' own path: installing that package would replace the
 * file.
 */
const certificates = '/etc/fresh-root-ca.crt';

/**
 * Creates a directory for a root, in /var/tmp or TMPDIR: a root takes several GB, too much for a /tmp in
 * memory.
 */
export function createRootDirectory(release: string): string {
  const base = process.env['TMPDIR'] === undefined ? '/var/tmp' : tmpdir();
  return mkdtempSync(join(base, `kata-fresh-${release}-`));
}

/** Installs the required packages of a Debian release and apt. */
export async function installDebian(directory: string, release: string, signal: AbortSignal): Promise<void> {
  const settings = fetchSettings();
  await runAsync(
    'mmdebstrap',
    [
      ['--mode=root', '--variant=minbase', '--quiet'],
      settings.map((line) => `--aptopt=${line}`),
      [release, directory, ...sourcesFor(release, mirrorUris())],
    ].flat(),
    { signal },
  );
  // The root shares this machine's network, and so its name servers.
  copyFileSync('/etc/resolv.conf', join(directory, 'etc/resolv.conf'));
}

/** Installs Node.js and npm from npm's registry. */
export async function installNode(
  directory: string,
  node: string,
  npm: string,
  signal: AbortSignal,
): Promise<void> {
  const downloads = join(root, 'build', 'fresh-root');
  mkdirSync(downloads, { recursive: true });
  const local = join(directory, 'usr/local');
  const [nodeTarball, npmTarball] = await Promise.all([
    download(downloads, `node-linux-${process.arch}`, node, signal),
    download(downloads, 'npm', npm, signal),
  ]);
  run('tar', [
    '-xzf',
    nodeTarball,
    '-C',
    local,
    '--strip-components=1',
    '--no-same-owner',
    'package/bin/node',
  ]);
  const library = join(local, 'lib/node_modules/npm');
  mkdirSync(library, { recursive: true });
  run('tar', ['-xzf', npmTarball, '-C', library, '--strip-components=1', '--no-same-owner', 'package']);
  for (const name of ['npm', 'npx'])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
}

/** Downloads a package and returns the path of its tarball. npm checks the digest, and caches the file. */
async function download(
  directory: string,
  name: string,
  version: string,
  signal: AbortSignal,
): Promise<string> {
  const printed = await runAsync('npm', ['pack', '--json', '--prefer-offline', `${name}@${version}`], {
    cwd: directory,
    signal,
  });
  const [tarball]: readonly { readonly filename: string }[] = JSON.parse(printed);
  if (tarball === undefined) throw new Error(`npm pack ${name} printed no file name`);
  return join(directory, tarball.filename);
}

/** Clones this checkout at its last commit, and returns the short id of the commit. */
export function cloneCheckout(directory: string): string {
  run('git', ['clone', '--quiet', '--no-hardlinks', root, join(directory, checkout)]);
  return run('git', ['-C', root, 'rev-parse', '--short', 'HEAD']).trim();
}

/**
 * Returns the environment of commands in a root, with this machine's npm registry, CA certificates and proxies.
 * Copies the certificates.
 */
export function environment(directory: string, ci: boolean): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    ...(ci ? { CI: 'true' } : {}),
  };
  for (const [name, value] of Object.entries(process.env))
    if (/^(https?|no|all)_proxy$/i.test(name)) env[name] = value;
  const settings: Readonly<Record<string, string | boolean | null | undefined>> = JSON.parse(
    run('npm', ['config', 'list', '--json'], { cwd: '/' }),
  );
  for (const name of ['registry', 'proxy', 'https-proxy', 'strict-ssl'])
    if (settings[name] !== null && settings[name] !== undefined)
      env[`npm_config_${name.replaceAll('-', '_')}`] = String(settings[name]);
  const authority = process.env['NODE_EXTRA_CA_CERTS'] ?? settings['cafile'];
  if (typeof authority === 'string' && existsSync(authority)) {
    copyFileSync(authority, join(directory, certificates));
    env['NODE_EXTRA_CA_CERTS'] = certificates;
    env['npm_config_cafile'] = certificates;
  }
  return env;
}

/**
 * Runs a program and returns its stdout. If the signal aborts, sends SIGTERM and waits, so that the program can
 * clean up.
 */
async function runAsync(
  command: string,
  args: readonly string[],
  { signal, ...options }: { readonly signal: AbortSignal; readonly cwd?: string },
): Promise<string> {
  signal.throwIfAborted();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  const kill = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', kill);
  await once(child, 'close');
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (child.exitCode !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${output.stderr.trim()}`);
  return output.stdout;
}
