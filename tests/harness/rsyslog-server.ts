import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Authority } from './authority.js';
import { freePort } from './free-port.js';
import { endWithTests } from './end-with-tests.js';

/** A message as rsyslogd has parsed it. */
export interface SyslogMessage {
  readonly priority: number;
  readonly hostname: string;
  readonly appName: string;
  readonly messageId: string;
  readonly structuredData: string;
  readonly message: string;
}

const separator = '|~|';

/** An `rsyslogd` of a test, with TLS: it writes what it parses to a file. */
export class RsyslogServer {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'kata-rsyslog-test-'));
  port = 0;
  #process: ChildProcess | undefined;
  #log = '';

  /** `ca` signs it for `localhost`, and the clients, which must be called `collector`. */
  static async start(ca: Authority): Promise<RsyslogServer> {
    const server = new RsyslogServer();
    server.port = await freePort();
    const { cert, key } = ca.server(['localhost']);
    for (const [name, text] of Object.entries({ 'ca.pem': ca.pem, 'cert.pem': cert, 'key.pem': key }))
      writeFileSync(server.at(name), text, { mode: 0o600 });
    const fields = ['PRI', 'HOSTNAME', 'APP-NAME', 'MSGID', 'STRUCTURED-DATA', 'msg'];
    writeFileSync(
      server.at('rsyslog.conf'),
      `global(
  workDirectory="${server.directory}"
  maxMessageSize="256k"
  defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="${server.at('ca.pem')}"
  defaultNetstreamDriverCertFile="${server.at('cert.pem')}"
  defaultNetstreamDriverKeyFile="${server.at('key.pem')}"
)
module(load="imtcp" maxFrameSize="300000" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/name" permittedPeer="collector")
template(name="parsed" type="string" string="${fields.map((field) => `%${field}%`).join(separator)}\\n")
input(type="imtcp" address="127.0.0.1" port="${server.port}")
action(type="omfile" file="${server.at('messages')}" template="parsed")
`,
    );
    await server.begin();
    return server;
  }

  at(name: string): string {
    return join(this.directory, name);
  }

  /** The messages that it has written. */
  get messages(): readonly SyslogMessage[] {
    if (!existsSync(this.at('messages'))) return [];
    const lines = readFileSync(this.at('messages'), 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const [priority = '', hostname = '', appName = '', messageId = '', structuredData = '', ...message] =
        line.split(separator);
      return {
        priority: Number(priority),
        hostname,
        appName,
        messageId,
        structuredData,
        message: message.join(separator),
      };
    });
  }

  get log(): string {
    return this.#log;
  }

  /** Starts it, after `stop` again. */
  async begin(): Promise<void> {
    const child = spawn('rsyslogd', ['-n', '-f', this.at('rsyslog.conf'), '-i', this.at('pid')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = endWithTests(child);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes: Buffer) => {
        this.#log += bytes.toString();
      });
    child.on('error', (error) => {
      this.#log += error.message;
    });
    const end = Date.now() + 15_000;
    while (!(await isListening(this.port))) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`rsyslogd:\n${this.#log}`);
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
    rmSync(this.at('pid'), { force: true });
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
