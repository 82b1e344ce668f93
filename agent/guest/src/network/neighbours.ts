import { NeighbourFlag } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { HostMedia } from '../media/host-media.js';
import { checkCount, checkNeighbour, type Neighbour } from './network-values.js';

/** Flags that a request may set. */
const knownFlags = Object.values(NeighbourFlag).reduce((all, flag) => all | flag, 0);

/** NUD_INCOMPLETE to NUD_PERMANENT: an entry has one state. */
const states: ReadonlySet<number> = new Set([0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]);

/**
 * Sets neighbours; replaces existing ones. All are checked before the first is set; if the kernel refuses one, the
 * previous ones are restored.
 */
export async function addNeighbours(neighbours: readonly Neighbour[], media: HostMedia): Promise<void> {
  checkCount('neighbours', neighbours.length);
  for (const neighbour of neighbours) checkSettable(neighbour);
  await media.run('setNeighbours', { neighbours });
}

function checkSettable(neighbour: Neighbour): void {
  checkNeighbour(neighbour);
  const { address, state, flags } = neighbour;
  if (state !== 0 && !states.has(state))
    throw new GuestError(
      'invalid',
      `state ${state} of neighbour ${address} must be 0 (permanent), or one of ${[...states].join(', ')}`,
    );
  if ((flags & ~knownFlags) !== 0)
    throw new GuestError('invalid', `flags ${flags} of neighbour ${address} are not all known`);
}
