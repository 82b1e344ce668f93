import type { Duplex } from 'node:stream';

/**
 * A process's standard streams over connections of the host's, instead of by calls (Kata's `passfd_io`). An absent one is
 * left to the calls.
 */
export interface PassedStdio {
  readonly stdin?: Duplex | undefined;
  readonly stdout?: Duplex | undefined;
  readonly stderr?: Duplex | undefined;
  /** Whether the host may still have them; asked when what may be read has changed. */
  readonly admitted: () => boolean;
}

/** Ends connections that no process was made for, or whose host may not have them any more. */
export function closePassed({ stdin, stdout, stderr }: PassedStdio): void {
  for (const connection of [stdin, stdout, stderr]) connection?.destroy();
}
