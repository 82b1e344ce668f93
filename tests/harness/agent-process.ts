import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AgentService } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { withGuestPaths } from './guest-paths.js';
import { runtimeEnvironment, runtimeSetup, withRuntime } from './oci-runtime.js';
import { agentProgram } from './repository.js';
import { endWithTests } from './end-with-tests.js';

/** How an agent is started. */
export interface AgentOptions {
  /** The program; absent: the compiled packages, as `npx` runs them. */
  readonly program?: string;
  /** The text of the document for `-c`; absent: none. */
  readonly config?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Shell commands that run in the agent's mount namespace before it starts. */
  readonly setup?: string;
  /** Uses this machine's network, for `tls://` listeners on loopback: the document must serve no method of the network. */
  readonly sharesNetwork?: boolean;
}

/** A connection of one client. */
export interface AgentConnection {
  readonly socket: Socket;
  readonly channel: Channel;
  readonly agent: Client<typeof AgentService>;
  readonly health: Client<typeof Health>;
}

/**
 * A real agent in a separate process. It has a mount namespace with its own /run and a network namespace, so that
 * concurrent tests do not interfere with each other or the host's network; its temporary directory is removed with it.
 */
export class AgentProcess {
  readonly directory: string;
  readonly socketPath: string;
  readonly auditLog: string;
  readonly process: ChildProcess;
  readonly log: string[] = [];
  /** The exit code, once the process has ended. */
  readonly exited: Promise<number | null>;
  readonly #connections: AgentConnection[] = [];

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.socketPath = join(directory, 'agent.sock');
    this.auditLog = join(directory, 'audit', 'audit.log');
    this.process = child;
    this.exited = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Starts an agent and waits until it listens. */
  static async start(options: AgentOptions = {}): Promise<AgentProcess> {
    const agent = AgentProcess.spawn(options);
    const entries = options.config?.match(/^\[\[listener\]\]/gm)?.length ?? 0;
    let closed = Math.max(entries, 1);
    const listening = new Promise<boolean>((resolve) => {
      createInterface({ input: agent.process.stderr as NodeJS.ReadableStream }).on('line', (line) => {
        agent.log.push(line);
        if (/"msg":"(listening|dialling)"/.test(line)) closed -= 1;
        if (closed === 0) resolve(true);
      });
    });
    const ready = await Promise.race([listening, agent.exited.then(() => false)]);
    if (!ready) {
      rmSync(agent.directory, { recursive: true });
      throw new Error(`the agent ended before it listened:\n${agent.log.join('\n')}`);
    }
    return agent;
  }

  /** Starts an agent that is expected to exit, and returns its exit code and output. */
  static async run(
    options: AgentOptions,
  ): Promise<{ readonly code: number | null; readonly stderr: string; readonly stdout: string }> {
    const agent = AgentProcess.spawn(options);
    const output = { stderr: '', stdout: '' };
    agent.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text;
    });
    agent.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text;
    });
    const code = await agent.exited;
    rmSync(agent.directory, { recursive: true });
    return { code, ...output };
  }

  private static spawn({
    program = agentProgram,
    config,
    args = [],
    env = {},
    setup = ':',
    sharesNetwork = false,
  }: AgentOptions): AgentProcess {
    const directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    const configFile = join(directory, 'config.toml');
    if (config !== undefined) {
      // An example can lock its settings, so its address is replaced and not overridden.
      const ownAddress = config
        .replaceAll('vsock://-1:1024', `unix://${directory}/agent.sock`)
        .replaceAll(/vsock:\/\/-1:(\d+)/g, `unix://${directory}/$1.sock`);
      const text = withRuntime(withGuestPaths(ownAddress));
      writeFileSync(configFile, withAuditFile(text, join(directory, 'audit', 'audit.log')), { mode: 0o644 });
    }
    const command = [
      program,
      ...(config === undefined ? [] : ['-c', configFile]),
      '--server-addr',
      `unix://${directory}/agent.sock`,
      ...args,
    ];
    const child = spawn(
      'unshare',
      [
        ...(process.getuid?.() === 0 ? [] : ['--map-root-user']),
        '--mount',
        ...(sharesNetwork ? [] : ['--net']),
        '--propagation',
        'private',
        'sh',
        '-c',
        `mount -t tmpfs -o mode=755 kata-test /run && ${runtimeSetup} && ${setup} && exec "$0" "$@"`,
        process.execPath,
        ...command,
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'] ?? '',
          ...(config === undefined ? runtimeEnvironment : {}),
          ...env,
        },
      },
    );
    return new AgentProcess(directory, endWithTests(child));
  }

  /**
   * Opens a connection that is closed with the agent. With a `uid` (needs root) that user opens it; with a `port`, it is
   * to the listener that the document has at `vsock://-1:PORT`.
   */
  async connect({
    uid,
    port,
  }: {
    readonly uid?: number;
    readonly port?: number;
  } = {}): Promise<AgentConnection> {
    if (uid !== undefined) {
      chmodSync(this.directory, 0o711);
      process.seteuid?.(uid);
    }
    const path = port === undefined ? this.socketPath : join(this.directory, `${port}.sock`);
    const socket = connectSocket(path);
    if (uid !== undefined) process.seteuid?.(0);
    await once(socket, 'connect');
    const channel = connect(socket);
    const connection = {
      socket,
      channel,
      agent: createClient(AgentService, channel),
      health: createClient(Health, channel),
    };
    this.#connections.push(connection);
    return connection;
  }

  /** Returns the parsed records of the audit log. */
  records(): readonly Readonly<Record<string, unknown>>[] {
    // The last line may be written just now.
    const lines = readFileSync(this.auditLog, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }

  /** Stops the agent in order and waits for it; its directory stays until `dispose`. Returns the exit code. */
  async stop(): Promise<number | null> {
    for (const { channel } of this.#connections) channel.close();
    if (this.process.exitCode === null) this.process.kill('SIGTERM');
    return this.exited;
  }

  /** Stops the agent and removes its directory. */
  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Adds the audit log's file to a document without one. */
function withAuditFile(config: string, path: string): string {
  const section = `[audit]\nfile = ${JSON.stringify(path)}\n`;
  if (!config.includes('[audit]')) return `${config}\n${section}`;
  return /^\[audit\]\n[^[]*^file = /m.test(config) ? config : config.replace('[audit]\n', section);
}
