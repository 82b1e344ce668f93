/** When the agent answers with a status, and what clients do then. */
export interface StatusRow {
  readonly status: string;
  readonly when: string;
  readonly clients: string;
}

/** The statuses of replies. The source of the behaviour of clients is Kata Containers 4.1.0 (7c6ba40c5). */
export const statuses: readonly StatusRow[] = [
  {
    status: 'UNIMPLEMENTED',
    when: 'The configuration does not serve the method to this listener: `NAME is not served here: ` and the list, file and line that decided. Or it was left out when the agent was built. Or the method, or a part of it that the request needs, is not built yet; the text names it.',
    clients:
      'The Go runtime treats it as an older agent, and continues after AddARPNeighbors and UpdateEphemeralMounts. runtime-rs fails at AddARPNeighbors.',
  },
  {
    status: 'PERMISSION_DENIED',
    when: 'The method is served, but this request was denied. By an `[[api.rule]]`: the text names the rule, its file and line, and gives its message. Or by a check of the agent: OCI hooks that `hooks` does not allow, stdio ports while reading or writing is not served, a device, mount option or path that no container may have.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'NOT_FOUND',
    when: 'There is no such process or exec: SignalProcess answers with the text `ESRCH: No such process`.',
    clients:
      'The Go runtime ignores a SignalProcess error with that text; runtime-rs one with this code. After NOT_FOUND of GetMetrics the Go runtime requests no more metrics.',
  },
  {
    status: 'INVALID_ARGUMENT',
    when: 'The container is unknown; or an identifier, path, mode or specification is not valid; or SetPolicy cannot parse the text; the message names the first such line.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'ALREADY_EXISTS',
    when: 'A container, or an exec in that container, with this identifier exists.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'FAILED_PRECONDITION',
    when: 'A prerequisite of the request is missing: no OCI runtime is installed, the container is in another state, the process no longer reads its standard input.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'RESOURCE_EXHAUSTED',
    when: 'A limit of `[limits]` is reached: requests of a connection, fields of a request, containers, execs of a container.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'UNAVAILABLE',
    when: 'The audit log cannot be written, so that a call that changes state is not carried out: `refused because the audit log cannot be written: `. SignalProcess, RemoveContainer and DestroySandbox still work while the disk is full. With `on_failure = "refuse-all"` no other call is carried out either.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'DEADLINE_EXCEEDED, CANCELED',
    when: 'The deadline of the call passed, or the caller disconnected. Or the OCI runtime did not complete a call for a container within 10 seconds (an exec) or 30 (others), because the container blocks it: the text has `did not end within`.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'INTERNAL',
    when: 'The agent, the OCI runtime or the kernel failed: the text has the cause.',
    clients: 'Both runtimes fail the step.',
  },
];
