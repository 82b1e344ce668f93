import type { ExpectedCall } from '@kata-agent/workloads';
import { asCreate } from './expected-message.js';

/**
 * Reports whether a container mounts a volume of the guest several times. Both runtimes send a storage for each of its mounts, with
 * equal fields.
 *
 * Read, not recorded: `handleEphemeralStorage`, `handleLocalStorage` and `handleBlkOCIMounts` of the Go runtime; `handler_volumes` of
 * runtime-rs, which makes a volume for each mount.
 */
export function mountsTwice(calls: readonly ExpectedCall[]): boolean {
  return calls.some((call) => {
    const places = (asCreate(call)?.storages ?? []).map(({ mountPoint }) => mountPoint);
    return new Set(places).size < places.length;
  });
}
