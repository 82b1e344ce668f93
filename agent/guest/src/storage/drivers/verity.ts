import { join } from 'node:path';
import { hasCode } from '@kata-agent/linux';
import { GuestError } from '../../guest-error.js';
import type { DeviceNumber } from '../../device/device-number.js';
import type { HostMedia } from '../../media/host-media.js';
import type { KataOptions } from '../kata-options.js';
import type { StorageContext } from './storage-driver.js';
import type { Verity } from './verity-table.js';

/** Digests, with the number of their hexadecimal digits. */
const algorithms: ReadonlyMap<string, number> = new Map([
  ['sha256', 64],
  ['sha384', 96],
  ['sha512', 128],
]);

const prefix = 'dmverity.';

/**
 * Returns the dm-verity device that the options of a storage describe (Kata 4.1, src/agent/src/storage/multi_layer_erofs.rs
 * and src/libs/kata-types/src/dmverity.rs); undefined: none. dm-verity options without the one that enables it are an
 * error: a root hash that is not verified is a mistake.
 *
 * @throws GuestError `invalid`
 */
export function verityOf(options: KataOptions): Verity | undefined {
  if (!options.has('dmverity-enabled')) {
    if (options.names.some((name) => name.startsWith(prefix)))
      throw invalid('its options need X-kata.dmverity-enabled=true');
    return undefined;
  }
  const algorithm = options.get(`${prefix}algorithm`) ?? 'sha256';
  const digits = algorithms.get(algorithm);
  if (digits === undefined)
    throw invalid(`algorithm=${algorithm.slice(0, 80)} is not one of ${[...algorithms.keys()].join(', ')}`);
  const rootHash = options.get(`${prefix}roothash`) ?? '';
  if (!/^[0-9a-f]+$/.test(rootHash) || rootHash.length !== digits)
    throw invalid(
      `roothash=${rootHash.slice(0, 80)} must be a hash of ${algorithm}: ${digits} hexadecimal digits`,
    );
  const salt = options.get(`${prefix}salt`) ?? '-';
  if (salt !== '-' && !/^(?:[0-9a-f]{2}){1,256}$/.test(salt))
    throw invalid(`salt=${salt.slice(0, 80)} is not hexadecimal`);
  const format = numberOf(options, 'hashtype', 1);
  if (format !== 0 && format !== 1) throw invalid(`hashtype=${format} must be 0 or 1`);
  const noSuperblock = options.get(`${prefix}no-superblock`) ?? 'false';
  if (noSuperblock !== 'true' && noSuperblock !== 'false')
    throw invalid(`no-superblock=${noSuperblock.slice(0, 80)} must be true or false`);
  const verity: Verity = {
    rootHash,
    hashOffset: numberOf(options, 'hashoffset', 0),
    dataBlockSize: numberOf(options, 'blocksize', 4096),
    hashBlockSize: numberOf(options, 'hashsize', 4096),
    algorithm,
    salt: salt === '-' ? '' : salt,
    format,
    superblock: noSuperblock === 'false',
  };
  for (const size of [verity.dataBlockSize, verity.hashBlockSize]) {
    if (![512, 1024, 2048, 4096].includes(size))
      throw invalid(`a block size of ${size} is not 512, 1024, 2048 or 4096`);
    if (verity.hashOffset === 0 || verity.hashOffset % size !== 0)
      throw invalid(`hashoffset=${verity.hashOffset} must be a multiple of both block sizes, and not 0`);
  }
  return verity;
}

/** Dependencies of a verity device. */
type VerityContext = Pick<StorageContext, 'media' | 'made' | 'paths'>;

/** The disk below a verity device. */
interface VerityDisk {
  readonly number: DeviceNumber;
  /** For messages. */
  readonly named: string;
}

/**
 * Creates a verity device on a disk, and returns its node. The step that removes it is pushed to `made`.
 *
 * @param name of the device, from `verityName`
 */
export async function openVerity(
  { number, named: disk }: VerityDisk,
  verity: Verity,
  name: string,
  context: VerityContext,
): Promise<string> {
  const { media, paths, made } = context;
  let node: string;
  try {
    const control = mapperControl(context);
    ({ node } = await media.run('mapVerity', { control, name, disk: number, verity }));
  } catch (error) {
    throw refusal(error, disk);
  }
  made.push(`dm-verity device ${name}`, () => closeVerity(name, context));
  const device = join(paths.dev, node);
  await checkFirstBlock(device, disk, verity, media);
  return device;
}

function refusal(error: unknown, disk: string): unknown {
  if (hasCode(error, 'ENOENT'))
    return new GuestError(
      'precondition',
      "the guest's kernel has no device mapper; help: load the module dm_verity, or use a kernel that has it",
      { cause: error },
    );
  // E2BIG: the hash tree would end beyond the disk.
  if (hasCode(error, 'EINVAL', 'E2BIG'))
    return new GuestError(
      'refused',
      `${disk} cannot be read through dm-verity: the kernel rejects its table; help: compare hashoffset with the size of the disk, and check that the kernel has dm_verity`,
      { cause: error },
    );
  return error;
}

async function checkFirstBlock(
  device: string,
  disk: string,
  { rootHash, dataBlockSize }: Verity,
  media: HostMedia,
): Promise<void> {
  try {
    await media.run('readFirstBlock', { device, size: dataBlockSize });
  } catch (error) {
    if (!hasCode(error, 'EIO')) throw error;
    const message = `${disk} does not pass dm-verity: its first block does not match root hash ${rootHash}`;
    throw new GuestError('refused', message, { cause: error });
  }
}

/** Returns the device mapper name: unique for each storage, and for each layer of a root by its `index`. */
export function verityName({ rootHash }: Verity, place: string, index = 0): string {
  return `kata-${rootHash.slice(0, 32)}-${place.replace(/[^A-Za-z0-9]+/g, '-').slice(-60)}-${index}`;
}

/** Removes a verity device, if it is there; while it is mounted, the kernel removes it with the mount. */
export function closeVerity(name: string, context: Pick<StorageContext, 'media' | 'paths'>): Promise<void> {
  return context.media.run('unmap', { control: mapperControl(context), name });
}

/** Returns the path of the device mapper's control node. */
export function mapperControl({ paths }: Pick<StorageContext, 'paths'>): string {
  return join(paths.dev, 'mapper/control');
}

function numberOf(options: KataOptions, name: string, fallback: number): number {
  const text = options.get(prefix + name);
  if (text === undefined) return fallback;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw invalid(`${name}=${text.slice(0, 80)} is not a number`);
}

function invalid(message: string): GuestError {
  return new GuestError('invalid', `dm-verity: ${message}`);
}
