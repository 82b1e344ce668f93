import { type Configuration, parseKernelCommandLine } from '@kata-agent/config';
import { CannotApply } from '../cannot-apply.js';

/**
 * A guest extension image: a read-only disk that Kata's runtimes attach to add programs to the guest (Kata 4.1,
 * composable-vm-images.md in its documentation of designs). The runtime names each on the kernel command line.
 */
export interface GuestExtension {
  /** ASCII letters, digits, `-` and `_`. */
  readonly name: string;
  /** Undefined: an image without dm-verity. */
  readonly verity: ExtensionVerity | undefined;
}

/** The dm-verity parameters of an extension: the first partition has the data, the second the hash tree. */
export interface ExtensionVerity {
  /** Lower-case hex, of SHA-256. */
  readonly rootHash: string;
  /** Lower-case hex; empty: none. */
  readonly salt: string;
  readonly dataBlocks: number;
  readonly dataBlockSize: number;
  readonly hashBlockSize: number;
}

/** `kata.extension.NAME.verity_params`. */
const prefix = 'kata.extension.';
const suffix = '.verity_params';

const verityKeys = ['root_hash', 'salt', 'data_blocks', 'data_block_size', 'hash_block_size'] as const;
type VerityKey = (typeof verityKeys)[number];

const defaultBlockSize = '4096';
const blockSizes: ReadonlySet<number> = new Set([512, 1024, 2048, 4096]);

/**
 * Returns the extensions of the kernel command line, in its order. The parameters are those of Kata's
 * kata-extension-mount.sh. An empty value and a word without a value mean an image without dm-verity.
 *
 * @throws CannotApply for a name or parameter that is malformed, or given twice, and for a word in quotes or after `--`:
 * an extension is never skipped.
 */
export function guestExtensions(kernelCommandLine: string): readonly GuestExtension[] {
  const found = new Map<string, GuestExtension>();
  const { words } = parseKernelCommandLine(kernelCommandLine);
  checkPlain(kernelCommandLine, words);
  for (const { name: word, value = '' } of words) {
    if (!word.startsWith(prefix) || !word.endsWith(suffix)) continue;
    const name = word.slice(prefix.length, -suffix.length);
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name))
      throw new CannotApply(
        `extension image ${JSON.stringify(name.slice(0, 80))}: its name on the kernel command line is invalid`,
        { help: 'name it with up to 64 letters, digits, "-" and "_" in guest_extension_images' },
      );
    if (found.has(name))
      throw new CannotApply(`extension image ${name} is on the kernel command line twice`, {
        help: 'list it once in guest_extension_images',
      });
    found.set(name, { name, verity: value === '' ? undefined : verityOf(name, value) });
  }
  return [...found.values()];
}

/**
 * Kata's script splits the line at white space only. A word that the kernel's rules join with others, or that belongs to
 * init, would be an extension for the script and none for the agent.
 */
function checkPlain(
  kernelCommandLine: string,
  words: readonly { readonly name: string; readonly value: string | undefined }[],
): void {
  const isExtension = (word: string): boolean => word.startsWith(prefix);
  const split = kernelCommandLine.split(/\s+/).filter(isExtension);
  const parsed = words
    .map(({ name, value }) => (value === undefined ? name : `${name}=${value}`))
    .filter(isExtension);
  if (split.join(' ') === parsed.join(' ')) return;
  throw new CannotApply('an extension image is in quotes or after "--" on the kernel command line', {
    help: 'write kata.extension.NAME.verity_params=… without quotes, before "--"',
  });
}

function verityOf(name: string, text: string): ExtensionVerity {
  const values = new Map<string, string>();
  for (const pair of text.split(',').filter((each) => each.trim() !== '')) {
    const [, key = '', value = ''] = /^\s*([a-z_]+)=(.*?)\s*$/.exec(pair) ?? [];
    if (!isVerityKey(key))
      throw invalid(name, `${JSON.stringify(pair.slice(0, 80))} is not one of ${verityKeys.join(', ')}`);
    if (values.has(key)) throw invalid(name, `${key} is given twice`);
    values.set(key, value);
  }
  const rootHash = (values.get('root_hash') ?? '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(rootHash)) throw invalid(name, 'root_hash must be 64 hexadecimal digits');
  const salt = (values.get('salt') ?? '').toLowerCase();
  if (!/^(?:[0-9a-f]{2}){0,256}$/.test(salt)) throw invalid(name, 'salt is not hexadecimal');
  const number = (key: VerityKey, fallback: string): number => {
    const digits = values.get(key) ?? fallback;
    if (!/^[1-9]\d{0,11}$/.test(digits)) throw invalid(name, `${key} must be a number above 0`);
    return Number(digits);
  };
  const size = (key: VerityKey): number => {
    const bytes = number(key, defaultBlockSize);
    if (!blockSizes.has(bytes)) throw invalid(name, `${key}=${bytes} is not ${[...blockSizes].join(', ')}`);
    return bytes;
  };
  return {
    rootHash,
    salt,
    dataBlocks: number('data_blocks', ''),
    dataBlockSize: size('data_block_size'),
    hashBlockSize: size('hash_block_size'),
  };
}

function isVerityKey(key: string): key is VerityKey {
  return verityKeys.some((each) => each === key);
}

function invalid(name: string, message: string): CannotApply {
  return new CannotApply(`extension image ${name}: verity_params: ${message}`, {
    help: 'copy the parameters that the build of the image printed to guest_extension_images',
  });
}

/**
 * Refuses extensions that a configuration does not list: the host writes the kernel command line, and an extension adds
 * programs to the guest that the agent runs, such as the shell of the debug console. Without a document all are
 * admitted, as with Kata's agent.
 *
 * @throws CannotApply for the first that is not listed with its root hash.
 */
export function admitExtensions(
  extensions: readonly GuestExtension[],
  { settings, documents }: Pick<Configuration, 'settings' | 'documents'>,
): void {
  if (documents.length === 0) return;
  for (const { name, verity } of extensions) {
    if (verity === undefined)
      throw new CannotApply(`extension image ${name} is refused: it has no dm-verity`, {
        help: 'remove it from guest_extension_images, or set its verity_params',
      });
    const entry = `${name}=sha256:${verity.rootHash}`;
    if (settings.extensions.includes(entry)) continue;
    throw new CannotApply(`extension image ${name} with root hash ${verity.rootHash} is refused`, {
      help: `remove it from guest_extension_images, or add it: extensions = ["${entry}"]`,
    });
  }
}
