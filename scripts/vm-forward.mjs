// Ports of this machine that lead to ports of a guest on QEMU's own network. QEMU chooses them, since whoever else would has
// only one that was free a moment ago.

/** The guest's address on that network. */
const guest = '10.0.2.15';

/** Options of the network device's back end. */
export function forwardOptions(guestPorts) {
  return guestPorts.map((port) => `hostfwd=tcp:127.0.0.1:0-${guest}:${port}`);
}

/** What QEMU chose, by the guest's port. */
export async function chosenPorts(qmp) {
  const table = await qmp.execute('human-monitor-command', { 'command-line': 'info usernet' });
  return new Map(
    [...table.matchAll(/HOST_FORWARD\] +\d+ +127\.0\.0\.1 +(\d+) +\S+ +(\d+)/g)].map(([, ours, theirs]) => [
      Number(theirs),
      Number(ours),
    ]),
  );
}
