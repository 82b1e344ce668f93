// virtiofsd, which is in no PATH: in Debian 12 QEMU's own, in C, with options of its own; later one in Rust.
import { fileOf } from './prerequisites.mjs';

/** The program and its arguments that share a folder over a socket. */
export function virtiofsdCommand(socket, folder, program = fileOf('virtiofsd')) {
  const ofQemu = program.startsWith('/usr/lib/qemu/');
  const args = ofQemu
    ? [
        `--socket-path=${socket}`,
        '-o',
        `source=${folder}`,
        '-o',
        'sandbox=chroot,cache=auto',
        '-o',
        'log_level=warn',
      ]
    : [
        ['--socket-path', socket, '--shared-dir', folder, '--sandbox', 'none'],
        ['--cache', 'auto', '--log-level', 'warn'],
      ].flat();
  return { program, args };
}
