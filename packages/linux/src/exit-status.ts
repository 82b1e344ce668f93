/** How a process ended. */
export interface ExitStatus {
  /** What a shell would say: the exit code, or 128 + the number of the signal that ended it. */
  readonly code: number;
  /** The signal's number, when one ended it. */
  readonly signal?: number;
}

/** Reads waitpid(2)'s status word (wait(2): the low seven bits are the signal, the next byte the exit code). */
export function exitStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { code: 128 + signal, signal };
}
