import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CannotApply } from '../cannot-apply.js';
import { admitExtensions, guestExtensions } from './guest-extensions.js';

const hash = 'ab'.repeat(32);
const salt = '0c'.repeat(32);
/** As Kata's image build prints them. */
const usual = `root_hash=${hash},salt=${salt},data_blocks=12,data_block_size=4096,hash_block_size=4096`;
const verity = { rootHash: hash, salt, dataBlocks: 12, dataBlockSize: 4096, hashBlockSize: 4096 };

const line = (value: string): string => `quiet kata.extension.devkit.verity_params=${value} panic=1`;

test('extensions and their parameters are read from the kernel command line, in its order', () => {
  const text = `a=1 kata.extension.gpu.verity_params=${usual} kata.extension.x.other=1 kata.extension.a_B-1.verity_params=${usual}\n`;
  assert.deepEqual(guestExtensions(text), [
    { name: 'gpu', verity },
    { name: 'a_B-1', verity },
  ]);
  assert.deepEqual(guestExtensions('console=ttyS0 extension=1'), []);
});

test('an empty value and a bare word are an image without dm-verity', () => {
  for (const word of ['kata.extension.coco.verity_params', 'kata.extension.coco.verity_params='])
    assert.deepEqual(guestExtensions(`a ${word} b`), [{ name: 'coco', verity: undefined }]);
});

test('words that Kata’s script would read in another way are refused', () => {
  const word = `kata.extension.gpu.verity_params=${usual}`;
  for (const text of [`a -- ${word}`, `${word} -- ${word}`, `y="a ${word} b"`, `"${word} b"`, `"${word}"`])
    assert.throws(() => guestExtensions(text), { message: /in quotes or after "--"/ }, text);
  assert.equal(guestExtensions(`${word} -- single`).length, 1);
});

test('block sizes have defaults, the salt may be missing, and upper case is read', () => {
  assert.deepEqual(guestExtensions(line(`root_hash=${hash.toUpperCase()},data_blocks=3`)), [
    { name: 'devkit', verity: { ...verity, salt: '', dataBlocks: 3 } },
  ]);
});

const mistakes: Readonly<Record<string, RegExp>> = {
  [line('salt=00,data_blocks=1')]: /devkit: verity_params: root_hash must be 64/,
  [line(`root_hash=${hash.slice(1)},data_blocks=1`)]: /root_hash must be 64/,
  [line(`root_hash=${hash}`)]: /data_blocks must be a number above 0/,
  [line(`root_hash=${hash},data_blocks=0`)]: /data_blocks must be a number above 0/,
  [line(`root_hash=${hash},data_blocks=many`)]: /data_blocks must be/,
  [line(`root_hash=${hash},data_blocks=1,data_block_size=100`)]: /data_block_size=100 is not 512/,
  [line(`root_hash=${hash},data_blocks=1,hash_block_size=8192`)]: /hash_block_size=8192 is not 512/,
  [line(`root_hash=${hash},data_blocks=1,salt=xyz`)]: /salt is not hexadecimal/,
  [line(`root_hash=${hash},data_blocks=1,root_hash=${hash}`)]: /root_hash is given twice/,
  [line(`root_hash=${hash},data_blocks=1,algorithm=sha1`)]: /"algorithm=sha1" is not one of/,
  [line('root_hash')]: /"root_hash" is not one of/,
  [`${line(usual)} ${line('')}`]: /extension image devkit is on the kernel command line twice/,
  'kata.extension..verity_params': /its name on the kernel command line is invalid/,
  'kata.extension.a/b.verity_params=': /"a\/b": its name/,
  'kata.extension.a.b.verity_params=': /"a\.b": its name/,
};
for (const [text, message] of Object.entries(mistakes))
  test(`${text.slice(0, 120)} is an error`, () => {
    assert.throws(
      () => guestExtensions(text),
      (error) => error instanceof CannotApply && message.test(error.message) && error.help !== undefined,
    );
  });

const document = [{}] as unknown as Parameters<typeof admitExtensions>[1]['documents'];
const settings = (extensions: readonly string[]): Parameters<typeof admitExtensions>[1]['settings'] =>
  ({ extensions }) as unknown as Parameters<typeof admitExtensions>[1]['settings'];

test('a configuration admits exactly the extensions that it lists', () => {
  const named = guestExtensions(line(usual));
  admitExtensions(named, { settings: settings([`devkit=sha256:${hash}`]), documents: document });
  for (const listed of [[], [`coco=sha256:${hash}`], [`devkit=sha256:${'ac'.repeat(32)}`]])
    assert.throws(
      () => admitExtensions(named, { settings: settings(listed), documents: document }),
      (error) =>
        error instanceof CannotApply &&
        /extension image devkit with root hash (ab)+ is refused/.test(error.message) &&
        error.help?.includes(`extensions = ["devkit=sha256:${hash}"]`) === true,
    );
});

test('a configuration refuses an extension without dm-verity; without one all are admitted', () => {
  const unverified = guestExtensions(line(''));
  assert.throws(
    () => admitExtensions(unverified, { settings: settings([]), documents: document }),
    /extension image devkit is refused: it has no dm-verity/,
  );
  admitExtensions([...unverified, ...guestExtensions(line(usual))], {
    settings: settings([]),
    documents: [],
  });
});
