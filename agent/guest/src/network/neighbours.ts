import { GuestError } from '../error/guest-error.js';
import type { Tools } from '../tool/tools.js';
import { checkCount, checkNeighbour } from './check-network.js';
import { ipBatch } from './ip.js';
import { checkChangeable } from './links.js';
import type { Neighbour } from './network-values.js';
import { orRestore } from './or-restore.js';
import { SavedNeighbours } from './saved-neighbours.js';

const NUD_PERMANENT = 0x80;
const NTF_PROXY = 0x08;

/** Linux, include/uapi/linux/neighbour.h; names as in iproute2. */
const flagWords: ReadonlyMap<number, string> = new Map([
  [0x01, 'use'],
  [NTF_PROXY, 'proxy'],
  [0x10, 'extern_learn'],
  [0x80, 'router'],
]);

/**
 * Sets neighbours; replaces existing ones. All are checked before the first is set; if the kernel refuses one, the
 * previous ones are restored.
 */
export async function addNeighbours(neighbours: readonly Neighbour[], tools: Tools): Promise<void> {
  checkCount('neighbours', neighbours.length);
  const commands = neighbours.map(neighbourArguments);
  await checkChangeable(tools, new Set(neighbours.map(({ device }) => device)));
  const saved = await SavedNeighbours.of(tools);
  const keys = neighbours.map(({ address, device, flags }) => ({
    address,
    device,
    proxy: (flags & NTF_PROXY) !== 0,
  }));
  await orRestore(
    () => ipBatch(tools, [], commands),
    () => saved.restore(keys),
  );
}

/** Returns the words of an `ip` command that sets a neighbour. */
export function neighbourArguments(neighbour: Neighbour): readonly string[] {
  checkNeighbour(neighbour);
  const { address, device, hwAddr, state, flags } = neighbour;
  if (!Number.isInteger(state) || state < 0 || state > 0xff)
    throw new GuestError('invalid', `state ${state} of neighbour ${address} must be from 0 to 255`);
  const words = wordsOf(flags, address);
  // A proxy entry answers for the address: it has neither hardware address nor state.
  if ((flags & NTF_PROXY) !== 0) return ['neighbour', 'replace', 'proxy', address, 'dev', device];
  return [
    'neighbour',
    'replace',
    address,
    ...(hwAddr === '' ? [] : ['lladdr', hwAddr]),
    'dev',
    device,
    'nud',
    String(state === 0 ? NUD_PERMANENT : state),
    ...words,
  ];
}

function wordsOf(flags: number, address: string): readonly string[] {
  let rest = flags;
  const words: string[] = [];
  for (const [bit, word] of flagWords) {
    if ((rest & bit) === 0) continue;
    words.push(word);
    rest &= ~bit;
  }
  if (rest !== 0) throw new GuestError('invalid', `flags ${flags} of neighbour ${address} are not all known`);
  return words;
}
