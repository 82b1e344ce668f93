// Debian's docker-registry in containerd's network namespace, with TLS.
import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnWithParentDeathSignal } from '@kata-agent/tool-command/parent-death-signal';

const port = 5000;
const startSeconds = 20;

export class Registry {
  static readonly address = '192.0.2.1';
  /** As in names of images. */
  static readonly host: string = `${Registry.address}:${port}`;
  /** The certificate of its authority, which is its own. */
  readonly certificate: string;
  readonly #enter: readonly string[];
  readonly #directory: string;
  readonly #process: ChildProcess;
  #pushed = 0;

  private constructor(directory: string, certificate: string, enter: readonly string[], child: ChildProcess) {
    this.#directory = directory;
    this.certificate = certificate;
    this.#enter = enter;
    this.#process = child;
  }

  /** Starts it in the network namespace of a process. `directory` must not exist. */
  static async start(directory: string, pid: number): Promise<Registry> {
    const at = (name: string): string => join(directory, name);
    mkdirSync(at('certificates'), { recursive: true });
    const enter = [`--net=/proc/${pid}/ns/net`];
    run('nsenter', [...enter, 'ip', 'addr', 'add', `${Registry.address}/32`, 'dev', 'lo']);
    const request =
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry';
    const name = ['-addext', `subjectAltName=IP:${Registry.address}`];
    const files = ['-keyout', at('key.pem'), '-out', at('certificate.pem')];
    run('openssl', [...request.split(' '), ...name, ...files]);
    copyFileSync(at('certificate.pem'), at('certificates/ca.crt'));
    writeFileSync(
      at('config.yml'),
      `version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: ${at('data')} } }
http: { addr: '${Registry.host}', tls: { certificate: ${at('certificate.pem')}, key: ${at('key.pem')} } }
`,
    );
    const child = spawnWithParentDeathSignal(
      'sh',
      [
        '-c',
        'exec >"$0" 2>&1 nsenter "$@"',
        at('log'),
        ...enter,
        'docker-registry',
        'serve',
        at('config.yml'),
      ],
      { stdio: 'ignore' },
    );
    const registry = new Registry(directory, at('certificate.pem'), enter, child);
    const probe = ['bash', '-c', `exec 3<>/dev/tcp/${Registry.address}/${port}`];
    for (let tries = 0; spawnSync('nsenter', [...enter, ...probe]).status !== 0; tries += 1) {
      if (tries > startSeconds * 10 || child.exitCode !== null)
        throw new Error(`docker-registry did not start:\n${readFileSync(at('log'), 'utf8')}`);
      await sleep(100);
    }
    return registry;
  }

  /** Copies an image of Docker's archive format into a repository, and returns the reference with its digest. */
  push(archive: string, repository: string): string {
    const digest = join(this.#directory, 'digest');
    const certificates = ['--dest-cert-dir', join(this.#directory, 'certificates')];
    const copy = ['skopeo', '--insecure-policy', 'copy', '-q', ...certificates, '--digestfile', digest];
    const target = `docker://${Registry.host}/${repository}:1`;
    run('nsenter', [...this.#enter, ...copy, `docker-archive:${archive}`, target]);
    this.#pushed = this.#requests.length;
    return `${Registry.host}/${repository}@${readFileSync(digest, 'utf8').trim()}`;
  }

  /** The requests for manifests and blobs since the last `push`, as lines that begin with the address of the client. */
  get pulls(): readonly string[] {
    return this.#requests.slice(this.#pushed);
  }

  /** Runs a task while it accepts connections and answers none. */
  async whileHanging<T>(task: () => Promise<T>): Promise<T> {
    this.#process.kill('SIGSTOP');
    try {
      return await task();
    } finally {
      this.#process.kill('SIGCONT');
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }

  get #requests(): readonly string[] {
    return readFileSync(join(this.#directory, 'log'), 'utf8')
      .split('\n')
      .filter((line) => /"GET \/v2\/\S+\/(?:manifests|blobs)\//.test(line));
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, [...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
