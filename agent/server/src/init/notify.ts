import { statSync, writeSync } from 'node:fs';
import { hasCode, Socket, type Syscalls, unixSocketAddress } from '@kata-agent/linux';

/** systemd's socket, also if our wrapper has removed NOTIFY_SOCKET from the environment (S23). */
const managerSocket = '/run/systemd/notify';

/**
 * Tells systemd that the agent listens: `Type=notify` (sd_notify(3)). Reports whether the message was sent: a unit of
 * another type, or another init, does not wait for it.
 */
export function notifyReady(
  syscalls: Syscalls,
  { parent = process.ppid, path = managerSocket }: { readonly parent?: number; readonly path?: string } = {},
): boolean {
  if (parent !== 1 || statSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return false;
  const fd = syscalls.socket(Socket.Unix, Socket.Datagram | Socket.CloseOnExec | Socket.NonBlock, 0);
  try {
    syscalls.connect(fd, unixSocketAddress({ kind: 'path', path }), path);
    writeSync(fd, 'READY=1');
    return true;
  } catch (error) {
    if (hasCode(error, 'ECONNREFUSED', 'EAGAIN', 'EACCES')) return false;
    throw error;
  } finally {
    syscalls.close(fd);
  }
}
