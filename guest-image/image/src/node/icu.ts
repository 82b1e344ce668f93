// Reads, reduces and writes ICU data packages. ICU's data, tables for every language, is a third of Node.js,
// and the agent needs English only.
//
// A package is a header, a table of contents (the number of items; for each, the offsets of its name and its
// data from the table), the names, and the data. Items are sorted by name, because ICU finds them by binary
// search, and each extends to the next one (ICU, icu4c/source/common/ucmndata.h and ucmndata.cpp).

/** An item of a package. */
export interface IcuItem {
  /** The name, which begins with that of the package (`icudt78l/en.res`). */
  readonly name: string;
  readonly data: Buffer;
}

/** A parsed package. Its items are in the order of the file. */
export interface IcuPackage {
  readonly header: Buffer;
  readonly items: readonly IcuItem[];
}

const alignment = 16;

/** The symbol of a package that is linked into a program; the number is ICU's release. */
export const packageSymbol: RegExp = /^icudt\d+_dat$/;

/** The directories with the language tables that numbers, dates and collation need, even in English. */
const languageDirectories = new Set(['', 'coll', 'curr', 'zone']);

/**
 * Reports whether an item, named without its package's name, is kept. These are the items that JavaScript needs
 * for English, as in a Node.js built with `--with-intl=small-icu` (Node.js, tools/icu/icu_small.json), and
 * those of no language: normalization, emoji, time zones. Character classes, case and UTF-8 are in ICU's code,
 * not in its data.
 */
export function isKept(name: string): boolean {
  const [, directory = '', stem = '', kind] = /^(?:(.*)\/)?([^/]*)\.([^.]*)$/.exec(name) ?? [];
  if (!languageDirectories.has(directory)) return false;
  if (kind === 'res') return !isLanguage(stem) || /^en(_US(_POSIX)?)?$/.test(stem);
  // unames has the names of all characters, for transliteration.
  return kind === 'nrm' || (kind === 'icu' && stem !== 'unames');
}

/** Matches `de`, `de_AT` and `yue_Hans_CN`. `res_index`, the list of them, is not a language. */
function isLanguage(stem: string): boolean {
  return /^[a-z]{2,3}(_|$)/.test(stem) && stem !== 'res_index';
}

/** Returns the package with only the items that are kept. */
export function reducePackage(bytes: Buffer, keep: (name: string) => boolean = isKept): Buffer {
  const { header, items } = readPackage(bytes);
  return writePackage(
    header,
    items.filter(({ name }) => keep(name.slice(name.indexOf('/') + 1))),
  );
}

/** Parses a package. Throws if it has another format. */
export function readPackage(bytes: Buffer): IcuPackage {
  const size = bytes.readUInt16LE(0);
  // magic, little-endian, "CmnD", version 1
  if (
    bytes.readUInt16LE(2) !== 0x27da ||
    bytes[8] !== 0 ||
    !bytes.toString('latin1', 12, 17).startsWith('CmnD\x01')
  )
    throw new Error('this is not an ICU data package of the supported format (CmnD 1, little-endian)');
  const table = bytes.subarray(size);
  const offsets = Array.from({ length: table.readUInt32LE(0) }, (_, index) => ({
    name: table.readUInt32LE(4 + index * 8),
    data: table.readUInt32LE(8 + index * 8),
  }));
  const items = offsets.map(({ name, data }, index) => ({
    name: table.toString('latin1', name, table.indexOf(0, name)),
    data: table.subarray(data, offsets[index + 1]?.data ?? table.length),
  }));
  return { header: bytes.subarray(0, size), items };
}

/** Serializes a package. */
export function writePackage(header: Buffer, items: readonly IcuItem[]): Buffer {
  const names = items.map(({ name }) => Buffer.from(`${name}\0`, 'latin1'));
  const table = Buffer.alloc(4 + items.length * 8);
  table.writeUInt32LE(items.length, 0);
  let end = table.length;
  for (const [index, name] of names.entries()) {
    table.writeUInt32LE(end, 4 + index * 8);
    end += name.length;
  }
  const chunks = [header, table, ...names];
  for (const [index, { data }] of items.entries()) {
    const padding = (alignment - ((header.length + end) % alignment)) % alignment;
    end += padding;
    table.writeUInt32LE(end, 8 + index * 8);
    end += data.length;
    chunks.push(Buffer.alloc(padding), data);
  }
  return Buffer.concat(chunks);
}
