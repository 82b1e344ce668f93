import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Item {
  readonly name: string;
  readonly data: Buffer;
}

/** What the script exports; it is JavaScript. */
const { isKept, readPackage, reducePackage, writePackage } = (await import(
  `${repository}scripts/image-icu.mjs`
)) as {
  readonly isKept: (name: string) => boolean;
  readonly readPackage: (bytes: Buffer) => { readonly header: Buffer; readonly items: readonly Item[] };
  readonly reducePackage: (bytes: Buffer, stays?: (name: string) => boolean) => Buffer;
  readonly writePackage: (header: Buffer, items: readonly Item[]) => Buffer;
};

/** A header as ICU's tools write it: sizes, magic, little-endian, ASCII, characters of 2 bytes, "CmnD" 1.0.0.0. */
const header = Buffer.alloc(32);
header.set([32, 0, 0xda, 0x27, 20, 0, 0, 0, 0, 0, 2, 0, 0x43, 0x6d, 0x6e, 0x44, 1]);

const items: readonly Item[] = [
  { name: 'icudt78l/a.res', data: Buffer.from('first') },
  { name: 'icudt78l/coll/b.res', data: Buffer.alloc(0) },
  { name: 'icudt78l/nfkc.nrm', data: Buffer.alloc(100, 7) },
];

describe('a package of ICU data', () => {
  it('is read as it was written, its items on multiples of 16 bytes', () => {
    const bytes = writePackage(header, items);
    const read = readPackage(bytes);
    assert.deepEqual(read.header, header);
    // An item ends where the next begins, so what fills up to there is its own.
    assert.deepEqual(
      read.items.map(({ name, data }) => ({ name, data: data.subarray(0, bytesOf(name)) })),
      items,
    );
    for (const index of items.keys())
      assert.equal((header.length + bytes.readUInt32LE(header.length + 8 + 8 * index)) % 16, 0);
  });

  it('keeps the order by name, and the bytes, of what stays', () => {
    const all = readPackage(writePackage(header, items)).items;
    const reduced = reducePackage(writePackage(header, items), (name) => name !== 'coll/b.res');
    assert.deepEqual(readPackage(reduced).items, [all[0], all[2]]);
    assert.deepEqual(
      reducePackage(reduced, () => true),
      reduced,
      'nothing more to do',
    );
  });

  it('is refused in another form than the one that is known', () => {
    for (const [at, value] of [
      [2, 0],
      [8, 1],
      [12, 0x54],
      [16, 2],
    ] as const) {
      const bytes = writePackage(header, items);
      bytes[at] = value;
      assert.throws(() => reducePackage(bytes), /no data package of ICU/);
    }
  });
});

it('of ICU’s data English stays, and what is of no language', () => {
  const kept = `root.res en.res en_US.res en_US_POSIX.res pool.res res_index.res zoneinfo64.res supplementalData.res
    langInfo.res nfkc.nrm uts46.nrm cnvalias.icu uemoji.icu coll/root.res coll/ucadata.icu curr/en.res zone/tzdbNames.res`;
  const gone = `de.res en_GB.res en_001.res yue_Hans_CN.res kok.res coll/de.res ibm-37_P100-1995.cnv rfc3491.spp
    confusables.cfu unames.icu translit/root.res brkitr/root.res brkitr/thaidict.dict brkitr/line.brk lang/en.res
    region/en.res unit/en.res rbnf/en.res`;
  const words = (text: string): string[] => text.split(/\s+/);
  assert.deepEqual(
    words(kept).filter((name) => !isKept(name)),
    [],
  );
  assert.deepEqual(words(gone).filter(isKept), []);
});

function bytesOf(name: string): number {
  return items.find((item) => item.name === name)?.data.length ?? 0;
}
