import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { deliverySources, writeInitdata, writeInitdataImage } from '../index.js';
import { GuestTree, textOf } from './delivered.test.fixture.js';

const document = '[api]\nallowed_endpoints = ["@pod"]\n';
const bytes = Buffer.from(document);
const word = (data: Uint8Array): string => `agent.config_b64=${Buffer.from(data).toString('base64')}`;

const root = process.geteuid?.() === 0;
if (!root && process.env['CI'] === 'true') throw new Error('in CI these tests must run as root');
const needsRoot = { skip: root ? false : 'needs root' };

test('every source delivers the same document; only initdata has another envelope', async () => {
  const tree = new GuestTree();
  tree.put('dev/vda', writeInitdataImage(writeInitdata(bytes, 'sha-256')));
  tree.putFwCfg(bytes);
  tree.put('etc/kata-agent/conf.d/10-narrow.toml', document);
  for (const line of [word(bytes), word(gzipSync(bytes))]) {
    tree.kernelCommandLine = `quiet ${line} ro`;
    for (const name of ['initdata', 'fw_cfg', 'kernel_line'] as const) {
      const found = await tree.document(name);
      assert.equal(textOf(found), document, name);
      assert.equal(found.algorithm, 'sha-256');
      if (name !== 'initdata') assert.deepEqual(Buffer.from(found.envelope), bytes, name);
    }
  }
});

test('sources without a document are empty, not errors', async () => {
  const tree = new GuestTree();
  for (const name of ['initdata', 'fw_cfg', 'kernel_line', 'drop_ins'] as const) {
    assert.deepEqual(await tree.documents(name), []);
  }
});

test('kernel command line: invalid base64, a truncated, empty or repeated word is rejected with its place', async () => {
  const tree = new GuestTree();
  const refused = (line: string): Promise<string> => {
    tree.kernelCommandLine = line;
    return tree.refusal('kernel_line');
  };
  const whole = word(bytes);
  assert.match(
    await refused(`ro ${whole.slice(0, -1)}`),
    /^\/proc\/cmdline:1:4: .*not base64, or is truncated.*\n.*\n.*\nhelp: .*2047 bytes.*initdata/s,
  );
  assert.match(await refused('agent.config_b64'), /not base64/);
  assert.match(await refused('agent.config_b64='), /not base64/);
  assert.match(await refused(whole.replace('W', '-')), /not base64/);
  assert.match(await refused(`${whole} ${whole}`), /is on the kernel command line twice/);
  const zipped = word(gzipSync(bytes));
  const cut = zipped.slice(0, zipped.length - 8 - ((zipped.length - 'agent.config_b64='.length) % 4));
  assert.match(await refused(cut), /cannot be unpacked: its gzip data is truncated/);
  assert.match(await refused(word(gzipSync(Buffer.alloc(10 << 20)))), /unpacks to more than/);
});

test('base64 with spare bits set is rejected: a document has one encoding', async () => {
  const tree = new GuestTree();
  tree.kernelCommandLine = 'agent.config_b64=dg==';
  assert.equal(textOf(await tree.document('kernel_line')), 'v');
  tree.kernelCommandLine = 'agent.config_b64=dh==';
  assert.match(await tree.refusal('kernel_line'), /not base64/);
});

test('a document that ends where the kernel truncates its command line is rejected as possibly incomplete (R17)', async () => {
  const long = Buffer.from(`${document}${'# comment\n'.repeat(400)}`);
  for (const limit of [2047, 4095]) {
    const tree = new GuestTree();
    const line = (lead: number): string => `${'x'.repeat(lead)} ${word(long)}`.slice(0, limit);
    // Every position within a group of four, so that three of the cuts are invalid base64 and one is valid.
    for (const lead of [1, 2, 3, 4]) {
      tree.kernelCommandLine = `${line(lead)}\n`;
      const message = await tree.refusal('kernel_line');
      assert.match(
        message,
        new RegExp(`ends where the kernel truncates its command line \\(${limit} bytes\\)`),
      );
      assert.match(message, /deliver it as initdata or by fw_cfg/);
    }
    tree.kernelCommandLine = `${word(bytes)} ${'x'.repeat(limit)}`.slice(0, limit);
    assert.equal(textOf(await tree.document('kernel_line')), document, 'another word was cut, not ours');
  }
});

test('words after -- are not for the agent', async () => {
  const tree = new GuestTree();
  tree.kernelCommandLine = `quiet -- ${word(bytes)}`;
  assert.deepEqual(await tree.documents('kernel_line'), []);
});

test('fw_cfg: more than 64 KiB is rejected before it is read; so is a size that does not match', async () => {
  const tree = new GuestTree();
  tree.putFwCfg(Buffer.alloc(65_536));
  assert.equal((await tree.document('fw_cfg')).bytes.length, 65_536);
  tree.putFwCfg(bytes, '65537\n');
  assert.match(await tree.refusal('fw_cfg'), /has 65537 bytes; at most 65536.*\nhelp: .*initdata/s);
  tree.putFwCfg(bytes, '9\n');
  assert.match(await tree.refusal('fw_cfg'), /has a size of 9 bytes, but 35 were read/);
  tree.putFwCfg(bytes, 'many\n');
  assert.match(await tree.refusal('fw_cfg'), /has many bytes/);
});

test('drop-ins are read in the order of their names, without hidden files', needsRoot, async () => {
  const tree = new GuestTree();
  for (const name of ['20-b.toml', '10-a.toml', '100-c.toml', '.keep']) {
    tree.put(`etc/kata-agent/conf.d/${name}`, `# ${name}\n`);
  }
  const texts = (await tree.documents('drop_ins')).map(textOf);
  assert.deepEqual(texts, ['# 10-a.toml\n', '# 100-c.toml\n', '# 20-b.toml\n']);
});

test(
  'drop-ins and their directory are checked by S6, and all errors are reported at once',
  needsRoot,
  async () => {
    const tree = new GuestTree();
    const target = tree.put('elsewhere.toml', document);
    const loose = tree.put('etc/kata-agent/conf.d/10-loose.toml', document);
    chmodSync(loose, 0o666);
    const directory = join(tree.root, 'etc/kata-agent/conf.d');
    symlinkSync(target, join(directory, '20-link.toml'));
    tree.put('etc/kata-agent/conf.d/30-narrow.tml', document);
    mkdirSync(join(directory, '40-directory.toml'));
    const message = await tree.refusal('drop_ins');
    for (const part of [
      /10-loose\.toml" can be written by others/,
      /20-link\.toml" is a symbolic link/,
      /30-narrow\.tml" is no drop-in/,
      /40-directory\.toml" is a directory/,
    ]) {
      assert.match(message, part);
    }
    chmodSync(directory, 0o777);
    assert.match(await tree.refusal('drop_ins'), /conf\.d" can be changed by others than root/);
    assert.doesNotMatch(await tree.refusal('drop_ins', true), /can be changed by others/);
  },
);

test(
  'a drop-in directory on a filesystem served by others is rejected, since they could empty it',
  needsRoot,
  async () => {
    const options = { kernelCommandLine: '', root: '/' };
    const source = deliverySources(options).find(({ name }) => name === 'drop_ins');
    const read = await source?.collect({
      accept: ['drop_ins'],
      bind: 'none',
      required: false,
      dropInDir: '/sys/kernel',
      unusedInitdata: 'refuse',
      maySet: [],
    });
    assert.match(JSON.stringify(read), /is on sysfs, which is not the guest's root filesystem/);
  },
);

test('a drop-in directory that is a file is rejected', async () => {
  const tree = new GuestTree();
  tree.put('etc/kata-agent/conf.d', document);
  assert.match(await tree.refusal('drop_ins'), /is not a directory/);
});
