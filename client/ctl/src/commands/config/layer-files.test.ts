import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-layers-'));
after(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

const image = 'registry.example/app:1';
const pod = file(
  'pod.yaml',
  `kind: Pod\nmetadata: { name: app }\nspec: { containers: [{ name: app, image: '${image}', command: [/app] }] }\n`,
);
const config = file('image.json', '{"config": {"Env": ["PATH=/bin"]}, "rootfs": {"diff_ids": ["a", "b"]}}');
const hash = (digit: string): string => digit.repeat(64);

/** As veritysetup 2.7 prints it. */
function printed(
  rootHash: string,
  { salt = '00ff', blocks = 10, algorithm = 'sha256', type = 1, size = 4096 } = {},
): string {
  return `VERITY header information for a.img
UUID:            	17555e89-e7ad-488e-ae4c-c3cd698fff18
Hash type:       	${type}
Data blocks:     	${blocks}
Data block size: 	${size}
Hash blocks:     	1
Hash block size: 	4096
Hash algorithm:  	${algorithm}
Salt:            	${salt}
Root hash:      	${rootHash}
`;
}

const setup = [
  '--snapshotter',
  'erofs',
  '--guest',
  'confidential',
  '--pod',
  pod,
  '--image-config',
  `${image}=${config}`,
];
const layers = (...paths: readonly string[]): readonly string[] =>
  paths.flatMap((path) => ['--layers', `${image}=${path}`]);
const generate = (...more: readonly string[]) => runBinary(['config', 'generate', ...setup, ...more]);

const base = file('base.txt', printed(hash('a')));
const top = file('top.txt', printed(hash('b'), { salt: '-', blocks: 3 }));

test('layers that veritysetup printed are pinned, and the configuration is sufficient', () => {
  const { code, stdout, stderr } = generate(...layers(base, top));
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /not verified/);
  assert.match(stdout, /^layers = "verified"$/m);
  const pins = `["${hash('a')}/00ff/10", "${hash('b')}//3"]`;
  assert.ok(stdout.includes(`verified_layers == ${pins}`), stdout);
  assert.ok(stdout.includes('image.from == "pause_bundle"'), stdout);
  const written = file('generated.toml', stdout);
  const checked = runBinary(['config', 'check', written, ...setup, ...layers(base, top)]);
  assert.equal(checked.code, 0, checked.stdout + checked.stderr);
  // Both in one file, and the other order is another image.
  const one = file('both.txt', printed(hash('b'), { salt: '-', blocks: 3 }) + printed(hash('a')));
  const swapped = runBinary(['config', 'check', written, ...setup, ...layers(one)]);
  assert.equal(swapped.code, 4, swapped.stdout);
});

test("the files of containerd's snapshotter are read, with the salt of the layer beside them", () => {
  const metadata = JSON.stringify({ roothash: hash('c'), hashoffset: 8192 }, null, 2);
  const alone = file('alone.dmverity', metadata);
  const beside = file('layer.erofs.dmverity', metadata);
  const superblock = Buffer.alloc(512);
  superblock.write('verity', 0, 'latin1');
  superblock.writeUInt32LE(1, 12);
  superblock.write('sha256', 32, 'latin1');
  for (const at of [64, 68]) superblock.writeUInt32LE(4096, at);
  superblock.writeBigUInt64LE(2n, 72);
  superblock.writeUInt16LE(2, 80);
  superblock.writeUInt16BE(0xabcd, 88);
  file('layer.erofs', Buffer.concat([Buffer.alloc(8192), superblock]));
  const { stdout, stderr } = generate(...layers(alone, beside));
  const pins = `["${hash('c')}/${'0'.repeat(64)}/2", "${hash('c')}/abcd/2"]`;
  assert.ok(stdout.replaceAll(/\s+/g, ' ').includes(pins), stdout + stderr);
  superblock.writeBigUInt64LE(1n, 72);
  file('layer.erofs', Buffer.concat([Buffer.alloc(8192), superblock]));
  assert.match(generate(...layers(alone, beside)).stderr, /number of blocks in its superblock/);
});

test('what cannot be pinned is an error with its remedy', () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [layers(base), /has one layer\n +runtime-rs 4\.1 does not verify/],
    [
      layers(base, file('md5.txt', printed(hash('b'), { algorithm: 'md5' }))),
      /Hash algorithm is md5; the agent accepts sha256/,
    ],
    [layers(base, file('type.txt', printed(hash('b'), { type: 0 }))), /Hash type is 0/],
    [layers(base, file('size.txt', printed(hash('b'), { size: 1024 }))), /Data block size is 1024/],
    [layers(base, file('short.txt', printed('ab'))), /no SHA-256/],
    [layers(base, file('other.txt', 'hello\n')), /veritysetup format did not print this/],
    [layers(base, file('other.json', '{}')), /has no roothash/],
    [layers(base, join(directory, 'missing')), /cannot read .*missing/],
    [['--layers', base], /must be IMAGE=PATH/],
    [
      ['--layers', `other=${base}`, '--layers', `other=${top}`],
      /there are none for image registry\.example\/app:1/,
    ],
    [
      [...layers(base, top), '--layers', `other=${base}`, '--layers', `other=${top}`],
      /no container has the image other/,
    ],
    [['--layers-output', directory], /there is no --layers/],
    [layers(directory), /cannot read .*index\.json/],
  ];
  for (const [options, message] of wrong) assert.match(generate(...options).stderr, message);
  const other = runBinary(['config', 'generate', '--pod', pod, ...layers(base, top)]);
  assert.match(other.stderr, /add --snapshotter erofs/);
});

describe('layers that are made from an OCI image layout', () => {
  const layout = join(directory, 'layout');
  const put = (content: Buffer | string): { digest: string; size: number } => {
    const hex = createHash('sha256').update(content).digest('hex');
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
    writeFileSync(join(layout, 'blobs/sha256', hex), content);
    return { digest: `sha256:${hex}`, size: content.length };
  };
  const layer = (name: string, gzip: boolean) => {
    const tree = mkdtempSync(join(directory, 'tree-'));
    writeFileSync(join(tree, name), name.repeat(5000));
    const tar = execFileSync('tar', ['-c', '--mtime=@0', '-C', tree, name]);
    const type = 'application/vnd.oci.image.layer.v1.tar';
    return { mediaType: gzip ? `${type}+gzip` : type, ...put(gzip ? gzipSync(tar) : tar) };
  };
  const manifest = put(JSON.stringify({ layers: [layer('a', true), layer('b', false)] }));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ manifests: [{ mediaType, ...manifest }] }));

  function isMissing(program: string): boolean {
    // The exit code says nothing: mkfs.erofs before 1.6 does not know --version.
    const { error } = spawnSync(program, ['--version'], {
      stdio: 'ignore',
      env: { PATH: '/usr/bin:/usr/sbin:/sbin' },
    });
    if (error !== undefined && process.env['CI'] === 'true') throw error;
    return error !== undefined;
  }
  const skip = ['mkfs.erofs', 'veritysetup'].some(isMissing) && 'erofs-utils or cryptsetup-bin is missing';

  /** erofs-utils before 1.7, such as that of Debian 12, reads no tar archive. */
  function isOld(): boolean {
    const { stdout, stderr } = spawnSync('mkfs.erofs', ['--help'], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/usr/sbin:/sbin' },
    });
    return !`${stdout}${stderr}`.includes('--tar');
  }

  function checkTooOld({ code, stderr }: { readonly code: number | null; readonly stderr: string }): void {
    assert.equal(code, 3, stderr);
    assert.match(stderr, /mkfs\.erofs is too old: it does not know --tar=f\n +use erofs-utils 1\.8 or later/);
  }

  test('they are the same each time, and can be stored', { skip }, () => {
    const output = join(directory, 'made');
    const first = generate(...layers(layout), '--layers-output', output);
    if (isOld()) return checkTooOld(first);
    assert.equal(first.code, 0, first.stderr);
    assert.equal(generate(...layers(layout)).stdout, first.stdout);
    const pins =
      /verified_layers ==\s+\[([^\]]*)\]/.exec(first.stdout)?.[1]?.match(/[0-9a-f]{64}\/0{64}\/\d+/g) ?? [];
    assert.equal(pins.length, 2, first.stdout);
    for (const [index, pin] of pins.entries()) {
      const [rootHash = '', salt, blocks] = pin.split('/');
      const disk = join(output, `00${index}.erofs`);
      assert.ok(statSync(disk).size > Number(blocks) * 4096);
      const offset = `--hash-offset=${Number(blocks) * 4096}`;
      execFileSync('/usr/sbin/veritysetup', ['verify', disk, disk, rootHash, offset]);
      assert.equal(salt, '0'.repeat(64));
    }
  });

  const generateWithPath = (path: string): ReturnType<typeof generate> => {
    const before = process.env['PATH'];
    process.env['PATH'] = path;
    try {
      return generate(...layers(layout));
    } finally {
      process.env['PATH'] = before;
    }
  };

  test('a program that is too old is named with the release that is not', () => {
    const old = mkdtempSync(join(directory, 'old-'));
    // As that of erofs-utils 1.5.
    const lines = ['#!/bin/sh', 'echo "mkfs.erofs: unrecognized option \'$1\'" >&2', 'exit 1', ''];
    writeFileSync(join(old, 'mkfs.erofs'), lines.join('\n'), { mode: 0o755 });
    checkTooOld(generateWithPath(`${old}:/usr/bin:/bin`));
  });

  test('a missing program is named with its package', () => {
    const { code, stderr } = generateWithPath('/nowhere');
    assert.equal(code, 3, stderr);
    assert.match(stderr, /mkfs\.erofs is missing, which makes layers\n +apt-get install erofs-utils/);
  });

  test('a changed blob is found by its digest', { skip }, () => {
    const other = put('other');
    writeFileSync(join(layout, 'blobs/sha256', other.digest.slice(7)), 'changed');
    const wrong = put(
      JSON.stringify({ layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', ...other }] }),
    );
    writeFileSync(join(layout, 'index.json'), JSON.stringify({ manifests: [{ mediaType, ...wrong }] }));
    assert.match(generate(...layers(layout)).stderr, /has the digest sha256:/);
  });
});
