import { join } from 'node:path';
import { type Descriptor, type Syscalls, Terminal, TerminalSocket } from '@kata-agent/linux';
import type { ProcessRef } from '../request/actions.js';
import { InputStream } from './input-stream.js';
import type { OutputLog } from './output-log.js';
import { OutputStream } from './output-stream.js';
import { overflow } from './overflow.js';
import type { PreparedStreams, StreamOptions } from './prepared-streams.js';
import { ProcessStreams } from './process-streams.js';

/** More than the kernel keeps for a terminal's master (64 KiB of flip buffers, and the line discipline's 4 KiB). */
const TERMINAL_CAPACITY = 128 * 1024;

/** The runtime creates the terminal and sends its master over a socket; stdin, stdout and stderr are one stream. */
export function prepareTerminal(ref: ProcessRef, options: StreamOptions): PreparedStreams {
  const { syscalls, paths, limits } = options;
  const socket = TerminalSocket.listen(syscalls, join(paths.state, 'run'));
  return {
    stdio: { consoleSocket: socket.path },
    attach: () => {
      const master = socket.receive();
      socket.close();
      const terminal = open(syscalls, master);
      const logs: OutputLog[] = [];
      const sizes = { buffer: limits.streamBuffer, source: TERMINAL_CAPACITY };
      return new ProcessStreams({
        input: new InputStream(terminal),
        stdout: new OutputStream(terminal, sizes, overflow(ref, 'stdout', options, logs)),
        logs,
        resize: (rows, columns) => terminal.resize(rows, columns),
      });
    },
    discard: () => socket.close(),
  };
}

/** The Terminal owns the master once it is created; until then it is closed here. */
function open(syscalls: Syscalls, master: Descriptor): Terminal {
  try {
    return new Terminal(syscalls, master);
  } catch (error) {
    master.close();
    throw error;
  }
}
