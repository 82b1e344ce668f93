import type { Socket } from 'node:net';
import type { AuditLog } from '@kata-agent/audit';
import type { Configuration, ListenerSettings } from '@kata-agent/config';
import type { Syscalls } from '@kata-agent/linux';
import { DebugConsole, guestConsole } from './debug-console.js';
import type { Caller } from '../caller.js';
import { listen } from '../listeners/listen.js';
import { describePeers } from '../listeners/peer.js';
import type { Log } from '../log.js';
import type { LogStream } from './log-stream.js';
import { ConnectionRecords } from '../listeners/connections.js';
import { StdioPorts } from './stdio-ports.js';

export interface SideChannelOptions {
  readonly syscalls: Syscalls;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'refuse' | 'intent' | 'outcome'>;
  /** The source of `log_vport`. */
  readonly logStream: LogStream;
}

/** A side channel. */
interface SideChannel {
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
 * The side channels of a configuration: stdio ports, debug console, log stream. They are part of the first listener that is
 * on vsock or a unix socket: they accept its peers, their addresses are derived from its own, and only its calls name stdio ports.
 */
export class SideChannels {
  /** Undefined: `passfd_listener_port` is 0. */
  readonly stdio: StdioPorts | undefined;
  readonly #configuration: Configuration;
  readonly #options: SideChannelOptions;
  readonly #records: ConnectionRecords;
  readonly #channels: readonly SideChannel[];

  constructor(configuration: Configuration, options: SideChannelOptions) {
    const { settings, listeners } = configuration;
    const { syscalls, log, logStream } = options;
    this.#configuration = configuration;
    this.#options = options;
    this.#records = new ConnectionRecords(options.audit);
    this.stdio =
      // Processes of an inner agent cannot be given connections of this one.
      settings.passfdListenerPort === 0 || settings.forward !== undefined
        ? undefined
        : new StdioPorts(localListener(listeners)?.name ?? '', syscalls, log);
    const channels: SideChannel[] = [];
    if (this.stdio !== undefined) {
      const { accept } = this.stdio;
      const close = () => this.stdio?.close();
      const port = settings.passfdListenerPort;
      channels.push({ name: 'stdio', port, connections: stdioConnections, serve: accept, close });
    }
    if (settings.debugConsole && settings.debugConsoleVport !== 0) {
      const shells = new DebugConsole(syscalls, log);
      const close = () => shells.close();
      const port = settings.debugConsoleVport;
      const serve = this.#recorded(shells.accept);
      channels.push({ name: 'debug console', port, connections: fewConnections, serve, close });
    }
    if (settings.logVport !== 0) {
      const close = () => logStream.close();
      const serve = this.#recorded((socket) => {
        socket.resume();
        logStream.accept(socket);
      });
      channels.push({ name: 'log', port: settings.logVport, connections: fewConnections, serve, close });
    }
    this.#channels = channels;
  }

  /**
   * Opens the side channels; `opened` receives a function that closes each. Throws CannotApply if an address is not
   * available.
   */
  async open(opened: (name: string, close: () => Promise<void>) => void): Promise<void> {
    const { syscalls, log, audit } = this.#options;
    const { listeners, settings } = this.#configuration;
    opened('side-channel records', () => this.#records.close());
    // Without a port of its own.
    if (settings.debugConsole && settings.debugConsoleVport === 0) {
      const shells = new DebugConsole(syscalls, log);
      const path = guestConsole();
      const device = { listener: 'debug console', peer: path };
      const ended = await this.#records.begin(device, 'debug_console = true');
      shells.serveDevice(path, ended);
      opened('debug console', async () => shells.close());
    }
    const first = localListener(listeners);
    if (first === undefined) return;
    for (const { name, port, connections, serve, close } of this.#channels) {
      const address = sideChannelAddress(first.address, port);
      const listener = await listen({
        name,
        address,
        peers: first.peers,
        limits: { connections },
        syscalls,
        log,
        audit,
        serve,
      });
      opened(`side channel ${name}`, async () => {
        await listener.close();
        close();
      });
      log('info', 'side channel open', { channel: name, address });
    }
  }

  /** Serves a connection after it was recorded. Stdio needs no such record: a recorded call names each connection. */
  #recorded(serve: Serve): Serve {
    const { log } = this.#options;
    const { peers } = localListener(this.#configuration.listeners) ?? { peers: [] };
    const reason = `the peer is in peers = ${describePeers(peers)}`;
    return (socket, caller) => {
      const serveRecorded = async (): Promise<void> => {
        const ended = await this.#records.begin(caller, reason);
        if (socket.closed) return ended();
        socket.once('close', ended);
        serve(socket, caller);
      };
      serveRecorded().catch((error: Error) => {
        const { listener, peer } = caller;
        log('error', 'side channel: a connection is closed', {
          channel: listener,
          peer,
          error: error.message,
        });
        socket.destroy();
      });
    };
  }
}

/** Without one there are no side channels. */
function localListener(listeners: readonly ListenerSettings[]): ListenerSettings | undefined {
  return listeners.find(({ tls, dial }) => tls === undefined && dial === undefined);
}

/**
 * Returns the address of a side channel: on vsock another port of the same CID, on a unix socket a path with the port
 * appended, as Firecracker names the ports of its guest (`PATH_PORT`).
 */
export function sideChannelAddress(serverAddress: string, port: number): string {
  const vsock = /^vsock:\/\/(-?\d+):\d+$/.exec(serverAddress);
  return vsock === null ? `${serverAddress}_${port}` : `vsock://${vsock[1]}:${port}`;
}
