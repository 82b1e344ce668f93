import type { EndpointRows } from '../endpoint.js';

/** Processes of containers and their standard streams. */
export const processRows: EndpointRows<
  | 'ExecProcess'
  | 'SignalProcess'
  | 'WaitProcess'
  | 'WriteStdin'
  | 'ReadStdout'
  | 'ReadStderr'
  | 'CloseStdin'
  | 'TtyWinResize'
> = {
  ExecProcess: {
    purpose: 'Runs one more process in a running container.',
    exposure:
      'The caller runs any command inside the container, with access to its files, secrets and memory. Of all ' +
      'endpoints that a finished pod does not need, this one exposes the most.',
    without: 'kubectl exec, exec probes and exec lifecycle hooks fail.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'once for each exec', rs: 'once for each exec' },
  },
  SignalProcess: {
    purpose: 'Sends a signal to a process of a container; SIGKILL without an exec id goes to all of them.',
    exposure: 'Ends or disturbs the workload, also by signals to which a program assigns a meaning.',
    without: 'Containers cannot be stopped: deleting a pod waits for its grace period and then fails.',
    release: '2.0.0',
    changes: true,
    fold: 'repeat',
    ends: true,
    clients: {
      go: 'at each stop (SIGTERM, then SIGKILL to all), and when containerd kills',
      rs: 'at each stop (SIGTERM, then SIGKILL to all), and when containerd kills',
    },
  },
  WaitProcess: {
    purpose: 'Waits for a process to end and returns its exit code.',
    exposure: 'Discloses when a process ended and with which exit code.',
    without: 'The runtime assumes that each process ended at once with exit code 255; no pod works.',
    release: '2.0.0',
    changes: false,
    clients: {
      go: 'once for each process, after its output ended',
      rs: 'once for each process, after its output ended; an error counts as exit code 255',
    },
  },
  WriteStdin: {
    purpose: 'Writes to the standard input of a process, or to its terminal. Empty data closes it.',
    exposure:
      'The caller sends input to the workload. If a shell or an interpreter reads it, this equals ExecProcess.',
    without: 'Containers and execs with open input get none: kubectl attach -i and exec -i do not work.',
    release: '2.0.0',
    changes: true,
    fold: 'stream',
    clients: { go: 'for each piece of input', rs: 'for each piece of input, and empty to close' },
  },
  ReadStdout: {
    purpose: 'Waits for output of a process and returns it; with a terminal, all output.',
    exposure: 'The caller reads what the workload prints: its log, and each secret in it.',
    without: 'No logs. The agent drains the output, so that the workload does not hang on a full pipe.',
    release: '2.0.0',
    changes: false,
    fold: 'stream',
    clients: {
      go: 'one call always pending for each process, until its end of file',
      rs: 'one call always pending for each process, until its end of file',
    },
  },
  ReadStderr: {
    purpose: 'Waits for error output of a process and returns it.',
    exposure:
      'The caller reads what the workload reports as errors, often with addresses, queries and tokens in it.',
    without:
      'No error output in the log. The agent drains it, so that the workload does not hang on a full pipe.',
    release: '2.0.0',
    changes: false,
    fold: 'stream',
    clients: {
      go: 'one call always pending for each process without a terminal, until its end of file',
      rs: 'one call always pending for each process without a terminal, until its end of file',
    },
  },
  CloseStdin: {
    purpose: 'Closes the standard input of a process.',
    exposure: 'Programs that read until the end of their input continue, or end.',
    without: 'With the Go runtime, a program that reads to the end of its input waits forever.',
    release: '2.0.0',
    changes: true,
    fold: 'repeat',
    clients: { go: 'once, when the client closes its input', rs: 'never: it writes empty data' },
  },
  TtyWinResize: {
    purpose: 'Sets rows and columns of the terminal of a process.',
    exposure: 'A SIGWINCH, and two numbers that a program may read: almost none.',
    without: 'Terminals keep their initial size, and full-screen programs draw incorrectly.',
    release: '2.0.0',
    changes: true,
    fold: 'repeat',
    clients: {
      go: 'at the start of a process with a terminal, and when the window changes',
      rs: 'at the start of a process with a terminal, and when the window changes',
    },
  },
};
