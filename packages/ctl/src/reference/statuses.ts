/** When the agent answers with a status, and what clients make of it. */
export interface StatusRow {
  readonly status: string;
  readonly when: string;
  readonly clients: string;
}

/** The statuses of replies. The source of what clients look for is Kata Containers 4.1.0 (7c6ba40c5). */
export const statuses: readonly StatusRow[] = [
  {
    status: 'UNIMPLEMENTED',
    when: 'The configuration does not serve the method to this listener: `NAME is not served here: ` and the list, file and line that decided. Or it was left out when the agent was built. Or the method, or a part of it that the request needs, is not built yet, and the text says so.',
    clients:
      'The Go runtime takes it for an older agent, and goes on after AddARPNeighbors and UpdateEphemeralMounts. runtime-rs gives up at AddARPNeighbors.',
  },
  {
    status: 'PERMISSION_DENIED',
    when: 'The method is served, but this very request was refused. By an `[[api.rule]]`: the text names the rule, its file and line, and gives its message. Or by a check of our own: OCI hooks while `hooks = "refuse"`, stdio ports while reading or writing is not served, a device, mount option or path that no container may have.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'NOT_FOUND',
    when: 'There is no such process or exec: SignalProcess answers with the text `ESRCH: No such process`.',
    clients:
      'The Go runtime swallows a SignalProcess error with that text; runtime-rs one with this code. NOT_FOUND of GetMetrics makes the Go runtime stop asking.',
  },
  {
    status: 'INVALID_ARGUMENT',
    when: 'The container is unknown; or an identifier, path, mode or specification is not valid; or SetPolicy cannot read the text, and names the first line that it cannot.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'ALREADY_EXISTS',
    when: 'There is a container, or exec in that container, with this identifier.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'FAILED_PRECONDITION',
    when: 'What the request needs is not there: no OCI runtime is installed, the container is in another state, the process does not read its standard input any more.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'RESOURCE_EXHAUSTED',
    when: 'A limit of `[limits]` is reached: requests of a connection, fields of a request, containers, execs of a container.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'UNAVAILABLE',
    when: 'The audit log cannot be written, so that a call that changes state may not be carried out: `refused because the audit log cannot be written: `. SignalProcess, RemoveContainer and DestroySandbox go on while the disk is full. With `on_failure = "refuse-all"` no other call is carried out either.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'DEADLINE_EXCEEDED, CANCELED',
    when: 'The caller’s time ran out, or the caller went away. Or the OCI runtime did not carry out a call for a container within 10 seconds (an exec) or 30 (others), since the container keeps it waiting: the text says `did not end within`.',
    clients: 'Both runtimes fail the step.',
  },
  {
    status: 'INTERNAL',
    when: 'The agent, the OCI runtime or the kernel failed: the text says which, and how.',
    clients: 'Both runtimes fail the step.',
  },
];
