import { GuestError } from '../guest-error.js';
import { quotedWord } from '../quoted.js';

/** One option `X-kata.NAME` or `X-kata.NAME=VALUE` of a storage. */
interface KataOption {
  readonly name: string;
  /** `none`: no value; `true`: only this value; `text`: any, which the user of the option checks. */
  readonly value: 'none' | 'true' | 'text';
  /** `layer`: for layers of a root; `disk`: for every disk. */
  readonly of: 'layer' | 'disk';
  /** It may be given several times. */
  readonly repeats?: boolean;
  readonly meaning: string;
}

/**
 * All options `X-kata.*` of Kata 4.1 (src/agent/src/storage/multi_layer_erofs.rs; they are written in
 * src/runtime-rs/crates/resource/src/rootfs/erofs_rootfs.rs and src/libs/kata-types/src/gpt_disk.rs). The agent uses
 * each of them, and none is for the kernel.
 */
export const kataOptions: readonly KataOption[] = [
  { name: 'multi-layer', value: 'true', of: 'layer', meaning: "the disk is a layer of the container's root" },
  { name: 'overlay-upper', value: 'none', of: 'layer', meaning: 'the layer that takes the writes' },
  { name: 'overlay-lower', value: 'none', of: 'layer', meaning: 'a read-only layer' },
  {
    name: 'gpt-partitioned',
    value: 'true',
    of: 'layer',
    meaning: 'the layer is a partition of the disk',
  },
  {
    name: 'partition-number',
    value: 'text',
    of: 'layer',
    meaning: 'the number of that partition; the lowest one is the topmost layer',
  },
  {
    name: 'mkdir.path',
    value: 'text',
    of: 'layer',
    repeats: true,
    meaning:
      'a directory to create before the layers are combined: `{{ mount 0 }}` is the writable layer, `{{ mount 1 }}` the topmost read-only one; what follows a colon is ignored, as by Kata',
  },
  { name: 'dmverity-enabled', value: 'true', of: 'disk', meaning: 'the disk is read through dm-verity' },
  { name: 'dmverity.roothash', value: 'text', of: 'disk', meaning: 'root hash, in hexadecimal' },
  {
    name: 'dmverity.hashoffset',
    value: 'text',
    of: 'disk',
    meaning: 'bytes of data, after which the hash tree begins',
  },
  { name: 'dmverity.blocksize', value: 'text', of: 'disk', meaning: 'size of a data block; 4096 if not set' },
  { name: 'dmverity.hashsize', value: 'text', of: 'disk', meaning: 'size of a hash block; 4096 if not set' },
  {
    name: 'dmverity.algorithm',
    value: 'text',
    of: 'disk',
    meaning: 'sha256 (if not set), sha384 or sha512',
  },
  { name: 'dmverity.salt', value: 'text', of: 'disk', meaning: 'hexadecimal; `-` or not set: no salt' },
  {
    name: 'dmverity.hashtype',
    value: 'text',
    of: 'disk',
    meaning: 'version of the format: 1 (if not set) or 0',
  },
  {
    name: 'dmverity.no-superblock',
    value: 'text',
    of: 'disk',
    meaning:
      '`true`: the hash tree begins at the offset; `false` (if not set): after a superblock, which is not read',
  },
];

const prefix = 'X-kata.';

export function isKataOption(option: string): boolean {
  return option.startsWith(prefix);
}

/** The values of a storage's options `X-kata.*`, by name without the prefix. */
export class KataOptions {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  private constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  /**
   * Parses the options of a storage. Each `X-kata.*` is an entry of its own: in a list with commas, a rule that compares
   * entries would not see it.
   *
   * @param use where the storage may be used: `layer` has all options, `disk` those of every disk, `other` none.
   * @throws GuestError `refused` for an option that is not known, or not for this storage; `invalid` for a wrong value
   */
  static parse(options: readonly string[], use: 'layer' | 'disk' | 'other'): KataOptions {
    const values = new Map<string, readonly string[]>();
    for (const option of options) {
      if (!isKataOption(option)) {
        const hidden = option.split(',').find(isKataOption);
        if (hidden === undefined) continue;
        throw refused(hidden, 'is in a list with commas; help: make it an option of its own');
      }
      const [name, value] = nameAndValue(option);
      const known = kataOptions.find((each) => each.name === name);
      if (known === undefined)
        throw refused(option, 'is not known; help: remove it, or use an agent that knows it');
      if (use === 'other' || (use === 'disk' && known.of === 'layer'))
        throw refused(option, `is for ${known.of === 'layer' ? 'layers of a root' : 'disks'} only`);
      if (known.value === 'none' ? value !== undefined : known.value === 'true' ? value !== 'true' : !value)
        throw new GuestError('invalid', `option ${quotedWord(option)} of a storage must be ${formOf(known)}`);
      const before = values.get(name) ?? [];
      if (before.length > 0 && known.repeats !== true)
        throw new GuestError('invalid', `option ${prefix}${name} of a storage is given twice`);
      values.set(name, [...before, value ?? '']);
    }
    return new KataOptions(values);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  get(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** The names that are set, without the prefix. */
  get names(): readonly string[] {
    return [...this.#values.keys()];
  }
}

function nameAndValue(option: string): readonly [name: string, value: string | undefined] {
  const at = option.indexOf('=');
  return at < 0
    ? [option.slice(prefix.length), undefined]
    : [option.slice(prefix.length, at), option.slice(at + 1)];
}

function formOf({ name, value }: KataOption): string {
  return prefix + name + { none: '', true: '=true', text: '=VALUE' }[value];
}

function refused(option: string, why: string): GuestError {
  return new GuestError('refused', `option ${quotedWord(option)} of a storage ${why}`);
}
