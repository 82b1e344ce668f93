import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import {
  hostDataDigest,
  type InitdataAlgorithm,
  parseInitdata,
  renderDiagnostic,
  unpackInitdataImage,
  writeInitdata,
  writeInitdataImage,
} from '../index.js';
import { GuestTree, textOf } from './delivered.test.fixture.js';

const algorithms: readonly InitdataAlgorithm[] = ['sha-256', 'sha-384', 'sha-512'];
const document = '[api]\nallowed_endpoints = ["@pod"]\n';

const envelope = (lines: string): Uint8Array => Buffer.from(lines);
const good = `algorithm = "sha384"\nversion = "0.1.0"\n\n[data]\n"aa.toml" = '''\n[token]\n'''\n"kata-agent.toml" = '''\n${document}'''\n`;

/** Builds an image with an arbitrary length field. */
function imageOf(packed: Uint8Array, length: bigint = BigInt(packed.length)): Uint8Array {
  const header = Buffer.alloc(16);
  header.write('initdata');
  header.writeBigUInt64LE(length, 8);
  return Buffer.concat([header, packed, Buffer.alloc(512)]);
}

function wrong(text: string): string {
  const parsed = parseInitdata(envelope(text), 'initdata');
  assert.ok(!parsed.ok);
  return parsed.diagnostics.map((one) => renderDiagnostic(one)).join('\n');
}

test("an image from Kata's agent (testdata/initdata.img) unpacks to its contents", () => {
  const image = Buffer.from(
    '696e69746461746124000000000000001f8b08000000000000ff2acecf4d5548cecf2b49cd2b01040000ffff3f311f430c000000',
    'hex',
  );
  const unpacked = unpackInitdataImage(image);
  assert.ok(unpacked?.ok);
  assert.equal(Buffer.from(unpacked.bytes).toString(), 'some content');
});

test('accepts both spellings of an algorithm, and files of other programs', () => {
  for (const algorithm of algorithms) {
    for (const spelling of [algorithm, algorithm.replace('-', '')]) {
      const parsed = parseInitdata(envelope(good.replace('sha384', spelling)), 'initdata');
      assert.ok(parsed.ok);
      assert.equal(parsed.algorithm, algorithm);
      assert.equal(Buffer.from(parsed.files.get('kata-agent.toml') ?? '').toString(), document);
    }
  }
});

test('rejects invalid envelopes, with the place of the fault', () => {
  assert.match(wrong(good.replace('0.1.0', '0.2.0')), /^initdata:2:11: .*version = "0\.1\.0".*"0\.2\.0"/);
  assert.match(wrong(good.replace('version', 'versoin')), /version = "0\.1\.0".*it is missing/);
  assert.match(wrong(good.replace('sha384', 'md5')), /^initdata:1:13: .*algorithm = "sha256".*"md5"/);
  assert.match(wrong(good.replace('[data]', '[dta]')), /\[data\], a table of texts; it is missing/);
  assert.match(
    wrong('algorithm = "sha256"\nversion = "0.1.0"\n[data]\n"kata-agent.toml" = 5\n'),
    /^initdata:4:21: .*integer 5/,
  );
  assert.match(wrong('algorithm = "sha256"\nversion = "0.1.0"\ndata = "x"\n'), /^initdata:3:8: .*"x"/);
  assert.match(wrong('algorithm = '), /^initdata:1:/);
});

test('the digest is truncated for HOSTDATA and padded with zeros for MRCONFIGID, as specified', () => {
  const bytes = envelope(good);
  const digest = (hash: string): Buffer => createHash(hash).update(bytes).digest();
  const field = (algorithm: InitdataAlgorithm, name: 'HOSTDATA' | 'MRCONFIGID'): Buffer =>
    Buffer.from(hostDataDigest({ envelope: bytes, algorithm }, name));
  assert.deepEqual(field('sha-256', 'HOSTDATA'), digest('sha256'));
  assert.deepEqual(field('sha-384', 'HOSTDATA'), digest('sha384').subarray(0, 32));
  assert.deepEqual(field('sha-256', 'MRCONFIGID'), Buffer.concat([digest('sha256'), Buffer.alloc(16)]));
  assert.deepEqual(field('sha-384', 'MRCONFIGID'), digest('sha384'));
  assert.deepEqual(field('sha-512', 'MRCONFIGID'), digest('sha512').subarray(0, 48));
});

test('any document survives writing and reading envelope and image unchanged', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom(
      "'''",
      "'",
      '"""',
      '\\',
      '\n',
      '\r\n',
      '\r',
      '\0',
      '\x7f',
      '\t',
      '\u2028',
      '\ud83d\ude00',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.constantFrom(...algorithms), (pieces, algorithm) => {
      const bytes = Buffer.from(pieces.join(''));
      const made = writeInitdata(bytes, algorithm);
      const unpacked = unpackInitdataImage(writeInitdataImage(made));
      assert.ok(unpacked?.ok);
      assert.deepEqual(Buffer.from(unpacked.bytes), Buffer.from(made));
      const parsed = parseInitdata(unpacked.bytes, 'initdata');
      assert.ok(parsed.ok);
      assert.equal(parsed.algorithm, algorithm);
      assert.deepEqual(Buffer.from(parsed.files.get('kata-agent.toml') ?? ''), bytes);
    }),
  );
});

test('the device is found by its first bytes among vd* and sd*', async () => {
  const tree = new GuestTree();
  tree.put('dev/vda', Buffer.alloc(4096));
  tree.put('dev/vdb', 'init');
  tree.put('dev/xvda', writeInitdataImage(envelope(good)));
  mkdirSync(join(tree.root, 'dev/vdc'));
  assert.deepEqual(await tree.documents('initdata'), []);
  const path = tree.put('dev/sda', writeInitdataImage(envelope(good)));
  const found = await tree.document('initdata');
  assert.equal(found.file, `initdata (${path}) kata-agent.toml`);
  assert.equal(textOf(found), document);
  assert.deepEqual(Buffer.from(found.envelope), Buffer.from(good));
  assert.equal(found.algorithm, 'sha-384');
});

test('no /dev, no device, or an envelope with only other files: no document', async () => {
  const tree = new GuestTree();
  assert.deepEqual(await tree.documents('initdata'), []);
  tree.put(
    'dev/vda',
    writeInitdataImage(envelope('algorithm = "sha256"\nversion = "0.1.0"\n[data]\n"aa.toml" = ""\n')),
  );
  assert.deepEqual(await tree.documents('initdata'), []);
});

test('two devices are rejected', async () => {
  const tree = new GuestTree();
  tree.put('dev/vda', writeInitdataImage(envelope(good)));
  tree.put('dev/vdb', writeInitdataImage(envelope(good)));
  assert.match(await tree.refusal('initdata'), /two initdata devices, .*vda and .*vdb/);
});

test('damaged images are rejected: truncated, huge, a bomb, not gzip, a changed byte, a bad envelope', async () => {
  const tree = new GuestTree();
  const packed = gzipSync(envelope(good));
  const refused = (image: Uint8Array): Promise<string> => {
    tree.put('dev/vda', image);
    return tree.refusal('initdata');
  };
  assert.match(await refused(imageOf(packed).subarray(0, 60)), /it is truncated/);
  assert.match(await refused(imageOf(packed.subarray(0, 40))), /gzip data is truncated/);
  assert.match(await refused(imageOf(packed, 2n ** 63n)), /its header declares 9223372036854775808 bytes/);
  assert.match(await refused(imageOf(packed, 0n)), /gzip data is truncated/);
  assert.match(await refused(imageOf(gzipSync(Buffer.alloc(50 << 20)))), /unpacks to more than 262144 bytes/);
  assert.match(
    await refused(imageOf(Buffer.from('no gzip at all, but as long as one'))),
    /gzip data is damaged/,
  );
  const changed = Buffer.from(imageOf(packed));
  changed[16 + packed.length - 6] = (changed[16 + packed.length - 6] ?? 0) ^ 1;
  assert.match(await refused(changed), /gzip data is damaged/);
  assert.match(await refused(writeInitdataImage(envelope('x'))), /initdata \(.*vda\):1:/);
});

test('a one-byte change of an image is detected or does not change the envelope', () => {
  const image = Buffer.from(writeInitdataImage(envelope(good)));
  const length = 16 + Number(image.readBigUInt64LE(8));
  let found = 0;
  for (let at = 0; at < length; at += 1) {
    const changed = Buffer.from(image);
    changed[at] = (changed[at] ?? 0) ^ 0x20;
    const unpacked = unpackInitdataImage(changed);
    if (unpacked?.ok === true) assert.equal(Buffer.from(unpacked.bytes).toString(), good, `byte ${at}`);
    else found += 1;
  }
  assert.ok(found > length / 2, 'the checksum of gzip finds those that matter');
});

test('gzip can read the image', () => {
  const image = Buffer.from(writeInitdataImage(envelope(good)));
  assert.equal(image.length % 512, 0);
  const packed = image.subarray(16, 16 + Number(image.readBigUInt64LE(8)));
  assert.equal(execFileSync('gzip', ['-dc'], { input: packed, encoding: 'utf8' }), good);
});
