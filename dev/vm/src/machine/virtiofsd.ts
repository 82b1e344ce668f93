// virtiofsd, which is not in PATH. Debian 12 has QEMU's implementation in C, later releases the one in Rust;
// the options differ.
import { fileOf } from '@kata-agent/setup/prerequisites';

/** A program and its arguments. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Returns the command that shares a directory over a socket. */
export function virtiofsdCommand(
  socket: string,
  directory: string,
  program: string = fileOf('virtiofsd'),
): Command {
  const isQemuVersion = program.startsWith('/usr/lib/qemu/');
  const args = isQemuVersion
    ? [
        `--socket-path=${socket}`,
        '-o',
        `source=${directory}`,
        '-o',
        'sandbox=chroot,cache=auto',
        '-o',
        'log_level=warn',
      ]
    : [
        ['--socket-path', socket, '--shared-dir', directory, '--sandbox', 'none'],
        ['--cache', 'auto', '--log-level', 'warn'],
      ].flat();
  return { program, args };
}
