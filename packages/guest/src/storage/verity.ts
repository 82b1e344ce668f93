import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { StorageContext } from './storage-driver.js';

/** A disk whose every block is checked against one hash (dm-verity): the data, then its tree of hashes. */
export interface Verity {
  /** Lower-case hex. */
  readonly rootHash: string;
  /** Bytes of data before the tree. */
  readonly hashOffset: number;
  readonly dataBlockSize: number;
  readonly hashBlockSize: number;
  readonly algorithm: string;
  /** Hex; empty: none. */
  readonly salt: string;
  readonly format: 0 | 1;
  readonly superblock: boolean;
}

const enabled = 'X-kata.dmverity-enabled=true';
const prefix = 'X-kata.dmverity.';
const algorithms: ReadonlySet<string> = new Set(['sha256', 'sha384', 'sha512']);
const tool = { program: 'veritysetup', package: 'cryptsetup-bin' };

/**
 * The dm-verity options of a storage (Kata 4.1, src/agent/src/storage/multi_layer_erofs.rs); undefined: it asks for
 * none. Options of it without the one that switches it on are an error: nobody means to name a hash and not check it.
 */
export function verityOf(options: readonly string[]): Verity | undefined {
  const words = options.flatMap((option) => option.split(','));
  const given = new Map(
    words
      .filter((word) => word.startsWith(prefix))
      .map((word) => {
        const [name = '', value = ''] = word.slice(prefix.length).split('=', 2);
        return [name, value] as const;
      }),
  );
  if (!words.includes(enabled)) {
    if (given.size > 0) throw invalid(`options of dm-verity need ${enabled}`);
    return undefined;
  }
  const rootHash = given.get('roothash') ?? '';
  if (!/^(?:[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/.test(rootHash))
    throw invalid(`roothash=${rootHash.slice(0, 80)} must be a hash in hexadecimal`);
  const algorithm = given.get('algorithm') ?? 'sha256';
  if (!algorithms.has(algorithm))
    throw invalid(`algorithm=${algorithm} is not one of ${[...algorithms].join(', ')}`);
  const salt = given.get('salt') ?? '';
  if (salt !== '-' && !/^(?:[0-9a-f]{2}){0,256}$/.test(salt))
    throw invalid(`salt=${salt.slice(0, 80)} is not hexadecimal`);
  const format = number(given, 'hashtype', 1);
  if (format !== 0 && format !== 1) throw invalid(`hashtype=${format} must be 0 or 1`);
  const verity: Verity = {
    rootHash,
    hashOffset: number(given, 'hashoffset', 0),
    dataBlockSize: number(given, 'blocksize', 4096),
    hashBlockSize: number(given, 'hashsize', 4096),
    algorithm,
    salt: salt === '-' ? '' : salt,
    format,
    superblock: given.get('no-superblock') !== 'true',
  };
  for (const size of [verity.dataBlockSize, verity.hashBlockSize]) {
    if (![512, 1024, 2048, 4096].includes(size))
      throw invalid(`a block size of ${size} is not 512, 1024, 2048 or 4096`);
  }
  if (verity.hashOffset === 0 || verity.hashOffset % verity.dataBlockSize !== 0)
    throw invalid(`hashoffset=${verity.hashOffset} must be a multiple of the block size, and not 0`);
  return verity;
}

/** What putting the check over a disk takes. */
type VerityContext = Pick<StorageContext, 'place' | 'tools' | 'made' | 'paths'>;

/** Puts the check over a disk, and answers the node of the checked one. */
export async function openVerity(disk: string, verity: Verity, context: VerityContext): Promise<string> {
  const name = verityName(verity, context.place);
  const opened = await context.tools.run(tool, verityArguments(disk, name, verity));
  if (opened.status !== 0)
    throw new GuestError('refused', `${disk} does not pass dm-verity: ${opened.stderr}`);
  context.made.push(`dm-verity device ${name}`, () => closeVerity(name, context));
  const device = join(context.paths.dev, 'mapper', name);
  checkFirstBlock(device, disk, verity);
  return device;
}

/** The kernel compares a block when it is read: with another root hash the device is made all the same, and has no block. */
function checkFirstBlock(device: string, disk: string, { rootHash, dataBlockSize }: Verity): void {
  const fd = openSync(device, 'r');
  try {
    readSync(fd, Buffer.alloc(dataBlockSize), 0, dataBlockSize, 0);
  } catch (error) {
    if (!hasCode(error, 'EIO')) throw error;
    const message = `${disk} does not pass dm-verity: its first block does not belong to root hash ${rootHash}`;
    throw new GuestError('refused', message, { cause: error });
  } finally {
    closeSync(fd);
  }
}

/** The name that the device mapper knows it by: one of its own for each storage. */
export function verityName({ rootHash }: Verity, place: string): string {
  return `kata-${rootHash.slice(0, 32)}-${place.replace(/[^A-Za-z0-9]+/g, '-').slice(-60)}`;
}

export async function closeVerity(name: string, { tools }: Pick<StorageContext, 'tools'>): Promise<void> {
  const closed = await tools.run(tool, ['close', name]);
  if (closed.status !== 0) throw new Error(closed.stderr);
}

/** The arguments of `veritysetup` that put the check over a disk. */
export function verityArguments(disk: string, name: string, verity: Verity): readonly string[] {
  const { rootHash, hashOffset, dataBlockSize, hashBlockSize, algorithm, salt, format, superblock } = verity;
  const parameters = [
    `--format=${format}`,
    `--hash=${algorithm}`,
    `--data-block-size=${dataBlockSize}`,
    `--hash-block-size=${hashBlockSize}`,
    `--data-blocks=${hashOffset / dataBlockSize}`,
    `--salt=${salt === '' ? '-' : salt}`,
  ];
  // With a superblock the disk itself says the parameters, and the root hash covers them.
  const described = superblock ? [] : ['--no-superblock', ...parameters];
  return ['open', `--hash-offset=${hashOffset}`, ...described, disk, name, disk, rootHash];
}

function number(given: ReadonlyMap<string, string>, name: string, fallback: number): number {
  const text = given.get(name);
  if (text === undefined) return fallback;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(`${name}=${text.slice(0, 80)} is not a number`);
}

function invalid(message: string): GuestError {
  return new GuestError('invalid', `dm-verity: ${message}`);
}
