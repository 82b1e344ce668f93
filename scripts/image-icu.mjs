// ICU's data, a third of Node.js: tables of every language, of which the agent speaks none.
//
// A package is a header, a table of contents (how many items there are; for each, where its name and where its data are,
// counted from the table), the names, and the data. Items are sorted by name, since ICU looks for them by halves, and
// each ends where the next begins (ICU, icu4c/source/common/ucmndata.h and ucmndata.cpp).

const alignment = 16;

/** The symbol of such a package in a program that has it within itself: one for each release of ICU. */
export const packageSymbol = /^icudt\d+_dat$/;

/** Tables by language, without which numbers, dates and an order of texts cannot be had even in English. */
const languageFolders = new Set(['', 'coll', 'curr', 'zone']);

/**
 * Whether an item, named without its package's name, stays. That is what JavaScript needs for English: what Node.js has when
 * it is built `--with-intl=small-icu` (Node.js, tools/icu/icu_small.json). What is of no language stays too: normalization,
 * emoji, time zones. Classes of characters, case, and UTF-8 are not data, but ICU's code.
 */
export function isKept(name) {
  const [, folder = '', stem, kind] = /^(?:(.*)\/)?([^/]*)\.([^.]*)$/.exec(name) ?? [];
  if (!languageFolders.has(folder)) return false;
  if (kind === 'res') return !isLanguage(stem) || /^en(_US(_POSIX)?)?$/.test(stem);
  // The names of all characters are for transliteration.
  return kind === 'nrm' || (kind === 'icu' && stem !== 'unames');
}

/** `de`, `de_AT`, `yue_Hans_CN`; the list of them is called `res_index`. */
function isLanguage(stem) {
  return /^[a-z]{2,3}(_|$)/.test(stem) && stem !== 'res_index';
}

/** The package with those of its items that stay. */
export function reducePackage(bytes, stays = isKept) {
  const { header, items } = readPackage(bytes);
  return writePackage(
    header,
    items.filter(({ name }) => stays(name.slice(name.indexOf('/') + 1))),
  );
}

/** Its header, and its items in order: `{ name, data }`. */
export function readPackage(bytes) {
  const size = bytes.readUInt16LE(0);
  // magic, little-endian, "CmnD", version 1
  if (
    bytes.readUInt16LE(2) !== 0x27da ||
    bytes[8] !== 0 ||
    !bytes.toString('latin1', 12, 17).startsWith('CmnD\x01')
  )
    throw new Error('this is no data package of ICU of a format that is known here (CmnD 1, little-endian)');
  const table = bytes.subarray(size);
  const places = Array.from({ length: table.readUInt32LE(0) }, (_, index) => ({
    name: table.readUInt32LE(4 + index * 8),
    data: table.readUInt32LE(8 + index * 8),
  }));
  const items = places.map(({ name, data }, index) => ({
    name: table.toString('latin1', name, table.indexOf(0, name)),
    data: table.subarray(data, places[index + 1]?.data ?? table.length),
  }));
  return { header: bytes.subarray(0, size), items };
}

export function writePackage(header, items) {
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
