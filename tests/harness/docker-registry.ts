import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Authority } from './authority.js';
import { endWithTests } from './end-with-tests.js';

export const registryUser = 'puller';
export const registryPassword = 's3cret:pass';
/** Of the password, by bcrypt. */
const passwordHash = '$2y$05$abcdefghijklmnopqrstuuKqhJSfTIYV1SkiVqP0GjQATd/vnrS1a';

/** Debian's docker-registry on 127.0.0.1, with TLS of a CA of its own and basic authentication, as a child of the test. */
export class DockerRegistry {
  /** `localhost:PORT`. */
  readonly host: string;
  readonly ca: string;
  /** For files of the test. */
  readonly directory: string;
  readonly #child: ChildProcess;

  private constructor(directory: string, host: string, ca: string, child: ChildProcess) {
    this.directory = directory;
    this.host = host;
    this.ca = ca;
    this.#child = child;
  }

  /** `names`: those of its certificate beside `localhost`. */
  static async start(names: readonly string[] = []): Promise<DockerRegistry> {
    const directory = mkdtempSync(join(tmpdir(), 'kata-docker-registry-'));
    const authority = new Authority('registry CA');
    const { cert, key } = authority.server(['localhost', ...names], { ips: ['127.0.0.1'] });
    const port = await freePort();
    const at = (name: string): string => join(directory, name);
    mkdirSync(at('certs'));
    writeFileSync(at('certs/ca.crt'), authority.pem);
    writeFileSync(at('cert.pem'), cert);
    writeFileSync(at('key.pem'), key, { mode: 0o600 });
    writeFileSync(at('htpasswd'), `${registryUser}:${passwordHash}\n`);
    writeFileSync(
      at('config.yml'),
      [
        'version: 0.1',
        'log: { level: error, accesslog: { disabled: true } }',
        `storage: { filesystem: { rootdirectory: ${at('data')} } }`,
        `http: { addr: '127.0.0.1:${port}', tls: { certificate: ${at('cert.pem')}, key: ${at('key.pem')} } }`,
        `auth: { htpasswd: { realm: test, path: ${at('htpasswd')} } }`,
        '',
      ].join('\n'),
    );
    const child = spawn('docker-registry', ['serve', at('config.yml')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let output = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-2_000);
    });
    const registry = new DockerRegistry(directory, `localhost:${port}`, authority.pem, endWithTests(child));
    for (let tries = 0; !(await answers(port, authority.pem)); tries += 1) {
      if (tries === 100 || child.exitCode !== null) {
        await registry.stop();
        throw new Error(`docker-registry does not answer: ${output}`);
      }
      await sleep(100);
    }
    return registry;
  }

  /** Runs skopeo with the registry's CA and credentials. */
  skopeo(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
    return execFileSync('skopeo', ['--insecure-policy', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
  }

  /** Copies an image into a repository: `name` is `REPOSITORY:TAG`, and `signing` options that sign it. */
  push(source: string, name: string, signing: readonly string[] = []): void {
    const access = [
      '--dest-cert-dir',
      join(this.directory, 'certs'),
      '--dest-creds',
      `${registryUser}:${registryPassword}`,
    ];
    this.skopeo([
      ...(signing.length === 0 ? [] : ['--registries.d', join(this.directory, 'registries.d')]),
      'copy',
      '-q',
      '--all',
      ...access,
      ...signing,
      source,
      `docker://${this.host}/${name}`,
    ]);
  }

  /**
   * Serves the same images at the same address in the network namespace of a process, whose loopback device is up. Returns the
   * server, which the caller ends.
   */
  async serveIn(pid: number): Promise<ChildProcess> {
    const enter = [`--net=/proc/${pid}/ns/net`];
    const command = ['docker-registry', 'serve', join(this.directory, 'config.yml')];
    const child = endWithTests(spawn('nsenter', [...enter, ...command], { stdio: 'ignore' }));
    const probe = `exec 3<>/dev/tcp/127.0.0.1/${this.host.split(':')[1] ?? ''}`;
    for (let tries = 0; spawnSync('nsenter', [...enter, 'bash', '-c', probe]).status !== 0; tries += 1) {
      if (tries === 100) throw new Error('docker-registry does not answer in the namespace');
      await sleep(100);
    }
    return child;
  }

  /** Makes a pair of keys, `NAME.private` and `NAME.pub`, and returns the options of `push` that sign with it. */
  signing(name: string): readonly string[] {
    const at = (file: string): string => join(this.directory, file);
    writeFileSync(at('pass'), 'secret');
    mkdirSync(at('registries.d'), { recursive: true });
    writeFileSync(
      at('registries.d/test.yaml'),
      `docker: { '${this.host}': { use-sigstore-attachments: true } }\n`,
    );
    this.skopeo(['generate-sigstore-key', '--output-prefix', at(name), '--passphrase-file', at('pass')]);
    return ['--sign-by-sigstore-private-key', at(`${name}.private`), '--sign-passphrase-file', at('pass')];
  }

  /** Makes a pair of keys of cosign, `NAME.key` and `NAME.pub`. */
  cosignKey(name: string): void {
    this.#cosign(['generate-key-pair', '--output-key-prefix', join(this.directory, name)]);
  }

  /** Signs an image, `REPOSITORY@DIGEST`, as an image of this name, in simple signing. */
  cosignSign(key: string, image: string, name: string): void {
    this.#cosign(
      [
        ['sign', '--key', join(this.directory, `${key}.key`), '--tlog-upload=false', '--yes'],
        ['--registry-cacert', join(this.directory, 'certs/ca.crt')],
        ['--registry-username', registryUser, '--registry-password', registryPassword],
        ['--sign-container-identity', name, `${this.host}/${image}`],
      ].flat(),
    );
  }

  #cosign(args: readonly string[]): void {
    execFileSync('cosign', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      cwd: this.directory,
      env: { ...process.env, HOME: this.directory, COSIGN_PASSWORD: 'secret' },
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.kill('SIGKILL')) await once(this.#child, 'exit');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function answers(port: number, ca: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', ca, servername: 'localhost' });
    socket.once('secureConnect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
