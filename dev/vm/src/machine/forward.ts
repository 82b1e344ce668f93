// Ports of this machine that QEMU forwards to TCP ports of a guest on its user network. QEMU chooses free
// ports: a port chosen beforehand could be taken by another process before QEMU binds it.
import type { Qmp } from './qmp.js';

/** The address of the guest on QEMU's user network. */
const guestAddress = '10.0.2.15';

/** The address at which a guest reaches ports of this machine. Nothing else is reachable from it. */
export const hostAddress = '10.0.2.100';

/**
 * Returns the options of the network back end by which a guest reaches these ports of this machine's 127.0.0.1. QEMU runs
 * the command for each connection: it would open one of its own only once.
 */
export function reachOptions(ports: readonly number[]): readonly string[] {
  return ports.map((port) => `guestfwd=tcp:${hostAddress}:${port}-cmd:busybox nc 127.0.0.1 ${port}`);
}

/** Returns the options of the network back end that forward to these ports of the guest. */
export function forwardOptions(guestPorts: readonly number[]): readonly string[] {
  return guestPorts.map((port) => `hostfwd=tcp:127.0.0.1:0-${guestAddress}:${port}`);
}

/** Returns the ports that QEMU chose, by the guest's port. */
export async function chosenPorts(qmp: Qmp): Promise<ReadonlyMap<number, number>> {
  const table = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
  return new Map(
    [...String(table).matchAll(/HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+)/g)].map(
      ([, hostPort, guestPort]) => [Number(guestPort), Number(hostPort)],
    ),
  );
}
