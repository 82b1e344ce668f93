import type { FileReader } from './image-files.js';

/** What an ELF file says of the files that it needs. */
export interface ElfNeeds {
  /** The dynamic linker (PT_INTERP); undefined: it is static, or a library. */
  readonly interpreter: string | undefined;
  /** Lists of directories with libraries (DT_RPATH, DT_RUNPATH), as written. */
  readonly directories: readonly string[];
  /** Its libraries (DT_NEEDED), and those that audit it, as written: names, or paths. */
  readonly libraries: readonly string[];
}

const maxHeaders = 512;
const maxTable = 64 * 1024;
const maxText = 4096;

const segment = { load: 1, dynamic: 2, interpreter: 3 } as const;
const tag = { end: 0, needed: 1, strings: 5, rpath: 15, runpath: 29 } as const;
/** DT_NEEDED, DT_CONFIG, DT_DEPAUDIT, DT_AUDIT, DT_AUXILIARY, DT_FILTER. */
const libraryTags: ReadonlySet<number> = new Set([
  tag.needed,
  0x6fff_fefa,
  0x6fff_fefb,
  0x6fff_fefc,
  0x7fff_fffd,
  0x7fff_ffff,
]);

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Reads the headers of an ELF file; undefined: it is not one, or damaged. Source: elf(5). */
export function readElf(read: FileReader): ElfNeeds | undefined {
  const head = read(0, 64);
  if (head.length < 52 || head.toString('latin1', 0, 4) !== '\x7fELF') return undefined;
  const is64 = head[4] === 2;
  const littleEndian = head[5] !== 2;
  const number = (bytes: Buffer, at: number, size: 2 | 4 | 8): number => {
    if (at + size > bytes.length) throw new RangeError('beyond the end');
    if (size === 8) return Number(littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
    if (size === 4) return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    return littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  };
  const word = is64 ? 8 : 4;
  try {
    const start = number(head, is64 ? 32 : 28, word);
    const size = number(head, is64 ? 54 : 42, 2);
    const count = Math.min(number(head, is64 ? 56 : 44, 2), maxHeaders);
    const table = read(start, size * count);
    const segments = Array.from({ length: count }, (_, index): Segment => {
      const at = index * size;
      return {
        type: number(table, at, 4),
        offset: number(table, at + (is64 ? 8 : 4), word),
        address: number(table, at + (is64 ? 16 : 8), word),
        size: number(table, at + (is64 ? 32 : 16), word),
      };
    });
    const interpreter = segments.find(({ type }) => type === segment.interpreter);
    return {
      interpreter: interpreter && textAt(read, interpreter.offset),
      ...dynamicTexts(segments),
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }

  function dynamicTexts(segments: readonly Segment[]): Pick<ElfNeeds, 'directories' | 'libraries'> {
    const none = { directories: [], libraries: [] };
    const dynamic = segments.find(({ type }) => type === segment.dynamic);
    if (dynamic === undefined) return none;
    const table = read(dynamic.offset, Math.min(dynamic.size, maxTable));
    const paths: number[] = [];
    const libraries: number[] = [];
    let strings: number | undefined;
    for (let at = 0; at + 2 * word <= table.length; at += 2 * word) {
      const name = number(table, at, word);
      const value = number(table, at + word, word);
      if (name === tag.end) break;
      if (name === tag.strings) strings = value;
      if (name === tag.rpath || name === tag.runpath) paths.push(value);
      if (libraryTags.has(name)) libraries.push(value);
    }
    const home = segments.find(
      ({ type, address, size }) =>
        type === segment.load && strings !== undefined && strings >= address && strings < address + size,
    );
    if (home === undefined || strings === undefined) return none;
    const offset = home.offset + strings - home.address;
    const texts = (offsets: readonly number[]): readonly string[] =>
      offsets.map((each) => textAt(read, offset + each));
    return { directories: texts(paths), libraries: texts(libraries) };
  }
}

function textAt(read: FileReader, offset: number): string {
  const bytes = read(offset, maxText);
  const end = bytes.indexOf(0);
  if (end < 0) throw new RangeError('a text without end');
  return bytes.toString('latin1', 0, end);
}
