import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type IcuItem, isKept, readPackage, reducePackage, writePackage } from './icu.js';

/** A header as ICU's tools write it: sizes, magic, little-endian, ASCII, 2-byte characters, "CmnD" 1.0.0.0. */
const header = Buffer.alloc(32);
header.set([32, 0, 0xda, 0x27, 20, 0, 0, 0, 0, 0, 2, 0, 0x43, 0x6d, 0x6e, 0x44, 1]);

const items: readonly IcuItem[] = [
  { name: 'icudt78l/a.res', data: Buffer.from('first') },
  { name: 'icudt78l/coll/b.res', data: Buffer.alloc(0) },
  { name: 'icudt78l/nfkc.nrm', data: Buffer.alloc(100, 7) },
];

describe('a package of ICU data', () => {
  it('round-trips, with items aligned to 16 bytes', () => {
    const bytes = writePackage(header, items);
    const read = readPackage(bytes);
    assert.deepEqual(read.header, header);
    // An item extends to the next one, including the padding.
    assert.deepEqual(
      read.items.map(({ name, data }) => ({ name, data: data.subarray(0, bytesOf(name)) })),
      items,
    );
    for (const index of items.keys())
      assert.equal((header.length + bytes.readUInt32LE(header.length + 8 + 8 * index)) % 16, 0);
  });

  it('keeps order and contents of the remaining items', () => {
    const all = readPackage(writePackage(header, items)).items;
    const reduced = reducePackage(writePackage(header, items), (name) => name !== 'coll/b.res');
    assert.deepEqual(readPackage(reduced).items, [all[0], all[2]]);
    assert.deepEqual(
      reducePackage(reduced, () => true),
      reduced,
      'a second reduction changes nothing',
    );
  });

  it('is rejected in an unknown format', () => {
    for (const [at, value] of [
      [2, 0],
      [8, 1],
      [12, 0x54],
      [16, 2],
    ] as const) {
      const bytes = writePackage(header, items);
      bytes[at] = value;
      assert.throws(() => reducePackage(bytes), /not an ICU data package/);
    }
  });
});

it('of ICU’s data, English and language-independent items remain', () => {
  const kept = `root.res en.res en_US.res en_US_POSIX.res pool.res res_index.res zoneinfo64.res supplementalData.res
    langInfo.res nfkc.nrm uts46.nrm cnvalias.icu uemoji.icu coll/root.res coll/ucadata.icu curr/en.res zone/tzdbNames.res`;
  const removed = `de.res en_GB.res en_001.res yue_Hans_CN.res kok.res coll/de.res ibm-37_P100-1995.cnv rfc3491.spp
    confusables.cfu unames.icu translit/root.res brkitr/root.res brkitr/thaidict.dict brkitr/line.brk lang/en.res
    region/en.res unit/en.res rbnf/en.res`;
  const words = (text: string): string[] => text.split(/\s+/);
  assert.deepEqual(
    words(kept).filter((name) => !isKept(name)),
    [],
  );
  assert.deepEqual(words(removed).filter(isKept), []);
});

function bytesOf(name: string): number {
  return items.find((item) => item.name === name)?.data.length ?? 0;
}
