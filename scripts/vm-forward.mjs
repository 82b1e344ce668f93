// Ports of this machine that lead to ports of a guest on QEMU's own network. QEMU chooses them, since whoever else would has
// only one that was free a moment ago.
import { setTimeout as pause } from 'node:timers/promises';
import { Qmp } from './vm-qmp.mjs';

/** The guest's address on that network. */
const guest = '10.0.2.15';

/** Options of the network device's back end. */
export function forwardOptions(guestPorts) {
  return guestPorts.map((port) => `hostfwd=tcp:127.0.0.1:0-${guest}:${port}`);
}

/**
 * What QEMU chose, by the guest's port. `path`: its QMP socket, which is there a moment after its start. Rejects when
 * `signal` says that QEMU has ended.
 */
export async function chosenPorts(path, signal) {
  const qmp = await opened(path, signal);
  try {
    const table = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
    return new Map(
      [...table.matchAll(/HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+)/g)].map(([, ours, theirs]) => [
        Number(theirs),
        Number(ours),
      ]),
    );
  } finally {
    qmp.close();
  }
}

async function opened(path, signal) {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await Qmp.open(path);
    } catch (error) {
      if (!['ENOENT', 'ECONNREFUSED'].includes(error.code)) throw error;
    }
    await pause(10);
  }
}
