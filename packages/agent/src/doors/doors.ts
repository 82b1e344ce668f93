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
import { StdioDoor } from './stdio-door.js';

export interface DoorOptions {
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse'>;
  /** What `log_vport` hands out. */
  readonly logStream: LogStream;
}

/** Something that is served beside the API. */
interface Door {
  readonly name: string;
  readonly port: number;
  readonly connections: number;
  readonly serve: (socket: Socket, caller: Caller) => void;
  readonly close: () => void;
}

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
  readonly #doors: readonly Door[];

  constructor(configuration: Configuration, options: DoorOptions) {
    const { settings } = configuration;
    const { syscalls, log, logStream } = options;
    this.#configuration = configuration;
    this.#options = options;
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
      doors.push({ name: 'debug console', port, connections: fewConnections, serve: shells.accept, close });
    }
    if (settings.logVport !== 0) {
      const close = () => logStream.close();
      const serve = (socket: Socket) => {
        socket.resume();
        logStream.accept(socket);
      };
      doors.push({ name: 'log', port: settings.logVport, connections: fewConnections, serve, close });
    }
    this.#doors = doors;
  }

  /** Opens them; `opened` is told how each is closed. Throws CannotApply when an address cannot be had. */
  async open(opened: (name: string, close: () => Promise<void>) => void): Promise<void> {
    const { syscalls, log, audit } = this.#options;
    const { listeners, settings } = this.#configuration;
    // Without a port of its own.
    if (settings.debugConsole && settings.debugConsoleVport === 0) {
      const shells = new DebugConsole(syscalls, log);
      shells.serveDevice(guestConsole());
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
}
