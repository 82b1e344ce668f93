import { existsSync } from 'node:fs';
import { GuestError } from '../error/guest-error.js';
import type { KnownRuntime } from './known-runtimes.js';

/**
 * Refuses a container whose cgroup the runtime could not ask systemd for. Like Kata's agent, which needs D-Bus for it, this
 * one does not create it in the file system instead: systemd would not know of it.
 *
 * @throws GuestError `precondition`
 */
export function checkSystemdBus(
  { name, systemdBuses }: Pick<KnownRuntime, 'name' | 'systemdBuses'>,
  exists: (socket: string) => boolean = existsSync,
): void {
  if (systemdBuses.some((socket) => exists(socket))) return;
  throw new GuestError(
    'precondition',
    `${name} cannot ask systemd for the container's cgroup: there is no ${systemdBuses.join(' or ')}; ` +
      'help: install dbus in the guest, or configure the host with the cgroup driver cgroupfs',
  );
}
