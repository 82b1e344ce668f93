import type { Socket } from 'node:net';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { DebugConsole } from '../console/debug-console.js';
import { guestConsole } from '../console/guest-console.js';
import type { Caller } from '../listeners/caller.js';
import { listen } from '../listeners/listen.js';
import type { Log } from '../log.js';
import type { LogStream } from '../log-stream/log-stream.js';
import { doorAddress } from './door-address.js';
import { Openings } from './openings.js';
import { StdioDoor } from './stdio-door.js';

export interface DoorOptions {
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse' | 'intent' | 'outcome'>;
  /** What `log_vport` hands out. */
  readonly logStream: LogStream;
}

/** Something that is served beside the API. */
interface Door {
  readonly name: string;
  readonly port: number;
  readonly connections: number;
  readonly serve: Serve;
  readonly close: () => void;
}

type Serve = (socket: Socket, caller: Caller) => void;

/** Three for each process, of 64 containers with some execs. */
const stdioConnections = 1024;
const fewConnections = 8;

/**
 * What a configuration serves beside the API: fast stdio, the debug console, the log. They are for the peers of the first
 * listener, whose address theirs are derived from.
 */
export class Doors {
  /** Undefined: `passfd_listener_port` is 0. */
  readonly stdio: StdioDoor | undefined;
  readonly #configuration: Configuration;
  readonly #options: DoorOptions;
  readonly #openings: Openings;
  readonly #doors: readonly Door[];

  constructor(configuration: Configuration, options: DoorOptions) {
    const { settings } = configuration;
    const { syscalls, log, logStream } = options;
    this.#configuration = configuration;
    this.#options = options;
    this.#openings = new Openings(options.audit);
    this.stdio = settings.passfdListenerPort === 0 ? undefined : new StdioDoor(syscalls, log);
    const doors: Door[] = [];
    if (this.stdio !== undefined) {
      const { accept } = this.stdio;
      const close = () => this.stdio?.close();
      const port = settings.passfdListenerPort;
      doors.push({ name: 'stdio', port, connections: stdioConnections, serve: accept, close });
    }
    if (settings.debugConsole && settings.debugConsoleVport !== 0) {
      const shells = new DebugConsole(syscalls, log);
      const close = () => shells.close();
      const port = settings.debugConsoleVport;
      const serve = this.#recorded(shells.accept);
      doors.push({ name: 'debug console', port, connections: fewConnections, serve, close });
    }
    if (settings.logVport !== 0) {
      const close = () => logStream.close();
      const serve = this.#recorded((socket) => {
        socket.resume();
        logStream.accept(socket);
      });
      doors.push({ name: 'log', port: settings.logVport, connections: fewConnections, serve, close });
    }
    this.#doors = doors;
  }

  /** Opens them; `opened` is told how each is closed. Throws CannotApply when an address cannot be had. */
  async open(opened: (name: string, close: () => Promise<void>) => void): Promise<void> {
    const { syscalls, log, audit } = this.#options;
    const { listeners, settings } = this.#configuration;
    opened('record of doors', async () => this.#openings.close());
    // Without a port of its own.
    if (settings.debugConsole && settings.debugConsoleVport === 0) {
      const shells = new DebugConsole(syscalls, log);
      const path = guestConsole();
      const who = { listener: 'debug console', peer: path };
      const ended = await this.#openings.begin(who, 'debug_console = true');
      shells.serveDevice(path, ended);
      opened('debug console', async () => shells.close());
    }
    const [first] = listeners;
    if (first === undefined) return;
    for (const { name, port, connections, serve, close } of this.#doors) {
      const address = doorAddress(first.address, port);
      const listener = await listen({ ...first, name, address, connections, syscalls, log, audit, serve });
      opened(`door ${name}`, async () => {
        await listener.close();
        close();
      });
      log('info', 'door open', { door: name, address });
    }
  }

  /** What serves a connection once the record has it. Stdio needs none of its own: a recorded call names each connection. */
  #recorded(serve: Serve): Serve {
    const { log } = this.#options;
    const [{ peers } = { peers: [] }] = this.#configuration.listeners;
    const reason = `the peer is in peers = ${JSON.stringify(peers)}`;
    return (socket, caller) => {
      const serveRecorded = async (): Promise<void> => {
        const ended = await this.#openings.begin(caller, reason);
        if (socket.closed) return ended();
        socket.once('close', ended);
        serve(socket, caller);
      };
      serveRecorded().catch((error: Error) => {
        const { listener, peer } = caller;
        log('error', 'door: a connection is closed', { door: listener, peer, error: error.message });
        socket.destroy();
      });
    };
  }
}
