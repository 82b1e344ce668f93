/** The exit status of a process. */
export interface ExitStatus {
  /** The exit code as a shell reports it: 128 + signal number for a process ended by a signal. */
  readonly code: number;
  /** The number of the signal that ended it, if any. */
  readonly signal?: number;
}

/** Decodes a status of waitpid(2) (wait(2): the low seven bits are the signal, the next byte the exit code). */
export function exitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { code: 128 + signal, signal };
}
