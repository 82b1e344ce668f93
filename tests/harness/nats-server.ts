import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createUser } from '@nats-io/nkeys';
import { Authority } from './authority.js';
import { freePort } from './free-port.js';
import { natsCredentials, replicaPermissions } from './nats-credentials.js';
import { repository } from './repository.js';
import { endWithTests } from './end-with-tests.js';

export interface NatsServerOptions {
  /** How replicas authenticate: by an nkey; by the subject of a client certificate, in TLS; by a file of credentials. */
  readonly by?: 'nkey' | 'certificate' | 'credentials';
  /** Whose permissions it has: those of a realm, or of a collector of audit logs, not by credentials. */
  readonly use?: 'realm' | 'collect';
}

/** The host of the certificate of a server with TLS. */
const tlsHost = 'localhost';
const clientName = 'realm-replica';

/** A `nats-server` of a test, with the permissions of examples/realm/nats-server.conf or examples/collect/nats-server.conf. */
export class NatsServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-nats-test-'));
  /** The file for `--bus-nkey`. */
  readonly nkey: string = join(this.directory, 'realm.nk');
  port = 0;
  readonly #ca = new Authority('nats CA');
  readonly #by: NonNullable<NatsServerOptions['by']>;
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(by: NonNullable<NatsServerOptions['by']>) {
    this.#by = by;
  }

  /** Resolves when it accepts connections. */
  static async start({ by = 'nkey', use = 'realm' }: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(by);
    const user = createUser();
    writeFileSync(server.nkey, `${new TextDecoder().decode(user.getSeed())}\n`, { mode: 0o600 });
    server.port = await freePort();
    const text = readFileSync(join(repository, 'examples', use, 'nats-server.conf'), 'utf8')
      // A name of TLS may have an IPv6 address, too.
      .replace('127.0.0.1:4222', `${by === 'certificate' ? '[::]' : '127.0.0.1'}:${server.port}`)
      .replace('/var/lib/nats', join(server.directory, 'store'))
      // By default a client must say who it is within 2 s, which a busy machine does not always let it.
      .replace('jetstream {', 'authorization { timeout: 30 }\njetstream {')
      .replace(/"UA+"/, `"${user.getPublicKey()}"`)
      // Somebody with an account of their own, and in the account of the example somebody without permissions, and a reader.
      .replace(
        'accounts {',
        'accounts {\n  other: { jetstream: enabled, users: [{ user: "other", password: "other" }] }',
      )
      .replace(
        'users: [\n',
        'users: [\n{ user: "reader", password: "reader" }\n{ user: "nobody", password: "nobody", permissions: { publish: "_", subscribe: "_INBOX.>" } }\n',
      );
    writeFileSync(server.at('nats-server.conf'), server.#authenticating(text));
    await server.restart();
    return server;
  }

  #authenticating(text: string): string {
    switch (this.#by) {
      case 'nkey':
        return text;
      case 'certificate':
        return this.#withTls(text);
      case 'credentials':
        return this.#withCredentials(text);
    }
  }

  #withTls(text: string): string {
    const { cert, key } = this.#ca.server([tlsHost]);
    const client = this.#ca.client({ commonNames: [clientName] });
    const files = { 'ca.pem': this.#ca.pem, 'cert.pem': cert, 'key.pem': key };
    const clientFiles = { 'client.pem': client.cert, 'client.key': client.key };
    for (const [name, content] of Object.entries({ ...files, ...clientFiles }))
      writeFileSync(this.at(name), content, { mode: 0o600 });
    const paths = `cert_file: "${this.at('cert.pem')}", key_file: "${this.at('key.pem')}", ca_file: "${this.at('ca.pem')}"`;
    return text
      .replace(/\{ nkey: "\w+", permissions: (\$\w+) \}/, `{ user: "CN=${clientName}", permissions: $1 }`)
      .replace('jetstream {', `tls { ${paths}, verify_and_map: true, timeout: 30 }\njetstream {`);
  }

  /** Accounts are those of signed tokens, not of the file. */
  #withCredentials(text: string): string {
    const { lines, creds } = natsCredentials(replicaPermissions(text));
    writeFileSync(this.at('replica.creds'), creds, { mode: 0o600 });
    return `${text.slice(0, text.indexOf('# What a replica needs'))}${lines}\n`;
  }

  /** The path of a file of the server; with TLS there are `ca.pem`, `client.pem` and `client.key`. */
  at(name: string): string {
    return join(this.directory, name);
  }

  /** Signs a certificate of a client or server of this NATS. */
  get ca(): Authority {
    return this.#ca;
  }

  /** Options of `kata-realm serve`. */
  get options(): readonly string[] {
    if (this.#by === 'certificate')
      return Object.entries({
        bus: `tls://${tlsHost}:${this.port}`,
        'bus-ca': this.at('ca.pem'),
        'bus-cert': this.at('client.pem'),
        'bus-key': this.at('client.key'),
      }).flatMap(([name, value]) => [`--${name}`, value]);
    if (this.#by === 'credentials')
      return ['--bus', `nats://127.0.0.1:${this.port}`, '--bus-creds', this.at('replica.creds')];
    return ['--bus', `nats://127.0.0.1:${this.port}`, '--bus-nkey', this.nkey];
  }

  /** Starts it again, with the same store. */
  async restart(): Promise<void> {
    const child = spawn('nats-server', ['-c', join(this.directory, 'nats-server.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = endWithTests(child);
    child.stderr?.on('data', (bytes: Buffer) => {
      this.#log += bytes.toString();
    });
    child.on('error', (error) => {
      this.#log += error.message;
    });
    this.#log = '';
    const end = Date.now() + 15_000;
    while (!this.#log.includes('Server is ready')) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`nats-server:\n${this.#log}`);
      await delay(20);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }

  get log(): string {
    return this.#log;
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
