import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  architecture,
  imageOf,
  indexOf,
  indexType,
  layerOf,
  manifestType,
  writeLayout,
} from '../harness/oci-image.js';
import { whyWithout } from '../harness/prerequisites.js';
import { ctlProgram } from '../harness/repository.js';

const runCtl = (...args: readonly string[]): { code: number | null; stdout: string; stderr: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [ctlProgram, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: status, stdout, stderr };
};

describe('images of files', { skip: whyWithout('skopeo') ?? false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-stored-images-'));
  const at = (name: string): string => join(directory, name);
  // Larger than what is read of an archive.
  const image = imageOf({ layers: [layerOf('a', Buffer.alloc(3 << 20, 'x'))] });
  const index = indexOf([
    {
      image: imageOf({ config: { architecture: 's390x' } }).manifest,
      platform: { os: 'linux', architecture: 's390x' },
    },
    { image: image.manifest, platform: { os: 'linux', architecture } },
  ]);
  const name = 'registry.example/team/app:1';

  before(() => {
    writeLayout(at('layout'), index, indexType, [image]);
    const layoutIndex = readFileSync(at('layout/index.json'), 'utf8');
    writeFileSync(at('layout/index.json'), layoutIndex.replace('"x"', JSON.stringify(name)));
    execFileSync('tar', ['-C', at('layout'), '-cf', at('layout.tar'), '.']);
    // As Docker names them, which writes its own manifest.json beside the layout.
    const docker = { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': '1' };
    writeFileSync(
      at('layout/manifest.json'),
      JSON.stringify([{ Config: 'none', RepoTags: [name], Layers: [] }]),
    );
    writeFileSync(
      at('layout/index.json'),
      layoutIndex.replace(/"annotations":\{.*?\}/, `"annotations":${JSON.stringify(docker)}`),
    );
    execFileSync('tar', ['-C', at('layout'), '-cf', at('docker.tar'), '.']);
    writeFileSync(at('layout/index.json'), layoutIndex.replace('"x"', JSON.stringify(name)));
    rmSync(at('layout/manifest.json'));
    for (const form of ['docker-archive', 'oci-archive'])
      execFileSync(
        'skopeo',
        ['--insecure-policy', 'copy', `oci:${at('layout')}:${name}`, `${form}:${at(form)}:${name}`],
        {
          stdio: 'pipe',
        },
      );
    writeFileSync(
      at('inspect.json'),
      JSON.stringify([
        {
          RepoTags: ['team/other:1', name],
          RepoDigests: [`registry.example/team/app@${index.digest}`],
          Config: { Entrypoint: ['/a'], Cmd: ['x'], Env: ['A=b'], WorkingDir: '/w' },
          RootFS: { Layers: image.layers.map(({ diffId }) => diffId) },
        },
      ]),
    );
    writeFileSync(
      at('pod.yaml'),
      `kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: "${name}"}]}\n`,
    );
  });
  after(() => rmSync(directory, { recursive: true }));

  const generate = (...more: readonly string[]) =>
    runCtl('config', 'generate', '--pod', at('pod.yaml'), '--platform', `linux/${architecture}`, ...more);

  for (const form of ['layout', 'layout.tar', 'docker.tar', 'docker-archive', 'oci-archive', 'inspect.json'])
    it(`are found by their names: ${form}`, () => {
      const { code, stdout, stderr } = generate('--images', at(form));
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^# containers\[0\]\.image\nargs = \["\/a", "x"\]$/m);
      assert.doesNotMatch(stderr, /not constrained/);
    });

  it('are pinned by the digest that a layout or docker inspect has, and not by what docker save wrote', () => {
    const pin = (form: string) =>
      runCtl(
        'config',
        'pin',
        '-f',
        at('pod.yaml'),
        '--images',
        at(form),
        '--platform',
        `linux/${architecture}`,
      );
    for (const form of ['layout', 'layout.tar', 'inspect.json']) {
      const { code, stdout, stderr } = pin(form);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.includes(`"${name}@${index.digest}"`), stdout);
    }
    const saved = pin('docker-archive');
    assert.equal(saved.code, 1);
    assert.match(saved.stderr, /image registry.example\/team\/app:1: its source does not have the digest/);
  });

  it('are found by a digest, and in the first source that has them', () => {
    const pinned = readFileSync(at('pod.yaml'), 'utf8').replace(':1"', `:1@${index.digest}"`);
    writeFileSync(at('pinned.yaml'), pinned);
    const of = (...more: readonly string[]) =>
      runCtl(
        'config',
        'generate',
        '--pod',
        at('pinned.yaml'),
        '--platform',
        `linux/${architecture}`,
        ...more,
      );
    const found = of('--images', at('docker-archive'), '--images', at('layout.tar'));
    assert.equal(found.code, 0, found.stderr);
    const missing = of('--images', at('docker-archive'));
    assert.equal(missing.code, 1);
    assert.match(
      missing.stderr,
      /docker-archive does not have image registry\.example\/team\/app:1@sha256:[^]*docker-archive has registry\.example\/team\/app:1\n/,
    );
    const platform = runCtl(
      'config',
      'generate',
      '--pod',
      at('pod.yaml'),
      '--images',
      at('layout'),
      '--platform',
      'linux/arm',
    );
    assert.equal(platform.code, 1);
    assert.match(platform.stderr, /has no image for linux\/arm/);
  });

  it('of another platform are refused, also without an index that says it', () => {
    const other = imageOf({ config: { architecture: 's390x', variant: 'z13' } });
    writeLayout(at('other'), other.manifest, manifestType, [other]);
    const layoutIndex = readFileSync(at('other/index.json'), 'utf8');
    writeFileSync(at('other/index.json'), layoutIndex.replace('"x"', JSON.stringify(name)));
    const saved = [{ Config: `blobs/sha256/${other.config.digest.slice(7)}`, RepoTags: [name], Layers: [] }];
    const inspected = [
      { RepoTags: [name], Os: 'linux', Architecture: 's390x', Variant: 'z13', Config: {}, RootFS: {} },
    ];
    writeFileSync(at('other.json'), JSON.stringify(inspected));
    const check = (form: string): void => {
      const { code, stdout, stderr } = generate('--images', at(form));
      assert.deepEqual([code, stdout], [1, ''], form);
      assert.ok(stderr.includes(`it is for linux/s390x/z13, not for linux/${architecture}\n`), stderr);
      assert.match(stderr, /--platform/);
      const named = generate('--images', at(form), '--platform', 'linux/s390x/z13');
      assert.equal(named.code, 0, named.stderr);
    };
    check('other');
    check('other.json');
    writeFileSync(at('other/manifest.json'), JSON.stringify(saved));
    rmSync(at('other/index.json'));
    check('other');
  });

  it('by a name that two images have are refused', () => {
    const [inspected] = JSON.parse(readFileSync(at('inspect.json'), 'utf8')) as readonly object[];
    const write = (second: object): void =>
      writeFileSync(at('twice.json'), JSON.stringify([inspected, second]));
    write({ ...inspected, RepoTags: [name], Config: { Entrypoint: ['/b'] } });
    const { code, stdout, stderr } = generate('--images', at('twice.json'));
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /twice\.json has two images registry\.example\/team\/app:1\n/);
    write({ ...inspected });
    assert.equal(generate('--images', at('twice.json')).code, 0);
  });

  it('of a stranger do not control the terminal, and lead to no other file', () => {
    const directory = at('stranger');
    mkdirSync(directory);
    const write = (file: string, content: string): void => writeFileSync(join(directory, file), content);
    const fails = (message: RegExp): void => {
      const { code, stdout, stderr } = generate('--images', directory);
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\u001b|^forged/m);
    };
    write('manifest.json', JSON.stringify([{ Config: '../pod.yaml', RepoTags: [name] }]));
    fails(/"\.\.\/pod\.yaml" of its manifest\.json is not named by a digest/);
    write('manifest.json', JSON.stringify([{ Config: 'x', RepoTags: ['a:1\n\u001b[31mforged'] }]));
    fails(/stranger has a:1\\u000a\\u001b\[31mforged\n/);
    write('manifest.json', '\u001b[31m\nforged');
    fails(/has no images that can be read: /);
    execFileSync('mkfifo', [join(directory, 'index.json')]);
    const { code, stderr } = generate('--images', directory);
    assert.equal(code, 3);
    assert.match(stderr, /cannot read .*index\.json: it is not a regular file/);
  });

  it('in files that are damaged, or no archives, are errors that name the file', () => {
    const archive = readFileSync(at('docker-archive'));
    const manifest = archive.indexOf('[{"Config"');
    const config = archive.indexOf('"Entrypoint"');
    assert.ok(manifest > 0 && config > 0);
    const changed = (at: number, text: string): Buffer => {
      const copy = Buffer.from(archive);
      copy.write(text, at);
      return copy;
    };
    for (const [bytes, message] of [
      [
        archive.subarray(0, 100_000),
        /is not a tar archive of images, or is damaged: the archive ends inside an entry/,
      ],
      [changed(0, 'zz'), /is damaged: an entry has the wrong checksum/],
      [changed(config, '"Xntrypoint"'), /does not have the digest of its name/],
      [changed(manifest, '{'), /has no images that can be read: /],
      [Buffer.from('{"config": {}}'), /it is not a list of images with names.*--image-config/],
      [Buffer.from('[{"RepoTags": 1}]'), /RepoTags/],
      [Buffer.from([0x1f, 0x8b, 8, 0]), /is not a tar archive of images, or is damaged: [^]*unpack it first/],
      [Buffer.alloc(1024), /has no images: neither index\.json nor manifest\.json/],
      [Buffer.alloc(0), /has no images/],
    ] as const) {
      writeFileSync(at('damaged'), bytes);
      const { code, stdout, stderr } = generate('--images', at('damaged'));
      assert.deepEqual([code, stdout], [1, ''], stderr);
      assert.match(stderr, message);
      assert.match(stderr, /damaged/);
    }
    assert.equal(generate('--images', at('none')).code, 3);
  });

  it('are read without their layers, and not after the end of the archive', () => {
    const header = Buffer.from(
      execFileSync('tar', ['-C', at('layout'), '-cf', '-', 'oci-layout']).subarray(0, 512),
    );
    // A file of 2^36 - 512 bytes, without content on the disk.
    header.write('777777777000', 124);
    header.write('        ', 148);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    writeFileSync(at('sparse'), header);
    truncateSync(at('sparse'), 2 ** 40);
    const { code, stderr } = generate('--images', at('sparse'));
    assert.equal(code, 1);
    assert.match(stderr, /sparse has no images/);
  });
});
