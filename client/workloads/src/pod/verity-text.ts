import { Buffer } from 'node:buffer';
import type { VerifiedLayer } from '@kata-agent/catalogue/requested-root';

/** The only form of dm-verity that the agent accepts for verified layers. */
const accepted: Readonly<Record<string, string>> = {
  'Hash type': '1',
  'Data block size': '4096',
  'Hash block size': '4096',
  'Hash algorithm': 'sha256',
};

/** The salt of containerd's EROFS differ, and of runtime-rs for its layers. */
export const snapshotterSalt: string = '0'.repeat(64);

/**
 * Parses what `veritysetup format` printed, for one layer or several, in the order of the text.
 *
 * @throws TypeError it is not one, or a form that the agent does not accept
 */
export function parseVeritysetup(text: string): readonly VerifiedLayer[] {
  const parts = text.split(/^VERITY header information for .*$/m).slice(1);
  if (parts.length === 0) throw new TypeError('veritysetup format did not print this');
  return parts.map((part) => {
    const values = new Map(
      [...part.matchAll(/^([A-Z][A-Za-z ]*):[ \t]*(\S*)[ \t]*$/gm)].map(([, name = '', value = '']) => [
        name,
        value,
      ]),
    );
    for (const [name, value] of Object.entries(accepted))
      if (values.get(name) !== value)
        throw new TypeError(`${name} is ${values.get(name) ?? 'missing'}; the agent accepts ${value}`);
    const salt = values.get('Salt') ?? '';
    return layerOf(values.get('Root hash'), salt === '-' ? '' : salt, Number(values.get('Data blocks')));
  });
}

/** The file that containerd's EROFS differ writes beside a layer, `layer.erofs.dmverity`. */
export interface SnapshotterMetadata {
  readonly rootHash: string;
  /** Bytes of data, after which a superblock and the hash tree follow. */
  readonly hashOffset: number;
}

/** Parses that file (containerd 2.3, internal/dmverity). @throws TypeError, SyntaxError */
export function parseSnapshotterMetadata(text: string): SnapshotterMetadata {
  const parsed: unknown = JSON.parse(text);
  if (!(parsed instanceof Object) || !('roothash' in parsed) || !('hashoffset' in parsed))
    throw new TypeError('it has no roothash and hashoffset');
  const { roothash: rootHash, hashoffset: hashOffset } = parsed;
  if (typeof rootHash !== 'string' || typeof hashOffset !== 'number' || hashOffset % 4096 !== 0)
    throw new TypeError('roothash must be a text, and hashoffset a multiple of 4096');
  return { rootHash, hashOffset };
}

/**
 * Returns the layer of such a file.
 *
 * @param superblock the 512 bytes of the layer at `hashOffset`; undefined: it is not at hand, and has the values that containerd
 *   gives each layer.
 * @throws TypeError
 */
export function snapshotterLayer(
  { rootHash, hashOffset }: SnapshotterMetadata,
  superblock?: Uint8Array,
): VerifiedLayer {
  const dataBlocks = hashOffset / 4096;
  if (superblock === undefined) return layerOf(rootHash, snapshotterSalt, dataBlocks);
  const block = Buffer.from(superblock);
  if (block.length < 512 || block.toString('latin1', 0, 6) !== 'verity')
    throw new TypeError('the layer has no superblock of dm-verity at hashoffset');
  const algorithm = block.toString('latin1', 32, block.indexOf(0, 32));
  const numbers = [block.readUInt32LE(12), block.readUInt32LE(64), block.readUInt32LE(68)];
  if (algorithm !== 'sha256' || numbers.join() !== '1,4096,4096')
    throw new TypeError(
      `its superblock has ${algorithm}, format and block sizes ${numbers.join(', ')}; the agent accepts sha256, 1, 4096, 4096`,
    );
  if (block.readBigUInt64LE(72) !== BigInt(dataBlocks))
    throw new TypeError('the number of blocks in its superblock is not that before hashoffset');
  const saltSize = block.readUInt16LE(80);
  return layerOf(rootHash, block.toString('hex', 88, 88 + Math.min(saltSize, 256)), dataBlocks);
}

function layerOf(rootHash: string | undefined, salt: string, dataBlocks: number): VerifiedLayer {
  if (rootHash === undefined || !/^[0-9a-f]{64}$/.test(rootHash))
    throw new TypeError('the root hash is no SHA-256 in lower-case hex');
  if (!/^(?:[0-9a-f]{2}){0,256}$/.test(salt)) throw new TypeError('the salt is not lower-case hex');
  if (!Number.isSafeInteger(dataBlocks) || dataBlocks < 1)
    throw new TypeError('the number of data blocks is missing');
  return { rootHash, salt, dataBlocks };
}
