import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createUser } from '@nats-io/nkeys';
import { repository } from './repository.js';

/** A `nats-server` of a test, with the permissions of examples/realm/nats-server.conf. */
export class NatsServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-nats-test-'));
  /** The file for `--bus-nkey`. */
  readonly nkey: string = join(this.directory, 'realm.nk');
  port = 0;
  #process: ChildProcess | undefined;
  #log = '';

  /** Resolves when it accepts connections. */
  static async start(): Promise<NatsServer> {
    const server = new NatsServer();
    const user = createUser();
    writeFileSync(server.nkey, `${new TextDecoder().decode(user.getSeed())}\n`, { mode: 0o600 });
    server.port = await freePort();
    const text = readFileSync(join(repository, 'examples/realm/nats-server.conf'), 'utf8')
      .replace('127.0.0.1:4222', `127.0.0.1:${server.port}`)
      .replace('/var/lib/nats', join(server.directory, 'store'))
      .replace(/"UA+"/, `"${user.getPublicKey()}"`)
      // Somebody with an account of their own, and somebody in the realm's account without permissions.
      .replace(
        'accounts {',
        'accounts {\n  other: { jetstream: enabled, users: [{ user: "other", password: "other" }] }',
      )
      .replace(
        'users: [\n',
        'users: [\n{ user: "nobody", password: "nobody", permissions: { publish: "_", subscribe: "_INBOX.>" } }\n',
      );
    writeFileSync(join(server.directory, 'nats-server.conf'), text);
    await server.restart();
    return server;
  }

  /** Options of `realm serve`. */
  get options(): readonly string[] {
    return ['--bus', `nats://127.0.0.1:${this.port}`, '--bus-nkey', this.nkey];
  }

  /** Starts it again, with the same store. */
  async restart(): Promise<void> {
    const child = spawn('nats-server', ['-c', join(this.directory, 'nats-server.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
