import type { Duplex } from 'node:stream';

/**
 * A process's standard streams over vsock connections instead of calls (Kata's `passfd_io`). An absent one uses calls.
 */
export interface PassedStdio {
  readonly stdin?: Duplex | undefined;
  readonly stdout?: Duplex | undefined;
  readonly stderr?: Duplex | undefined;
  /** Reports whether the host may still have them; called when the rights to read have changed. */
  readonly admitted: () => boolean;
}

/** Closes connections for which no process was started, or which the host may not have any more. */
export function closePassed({ stdin, stdout, stderr }: PassedStdio): void {
  for (const connection of [stdin, stdout, stderr]) connection?.destroy();
}
