import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { architecture, imageOf, layerOf, manifestType, writeLayout } from '../harness/oci-image.js';
import { whyWithout } from '../harness/prerequisites.js';
import { ctlProgram } from '../harness/repository.js';
import { eventually } from '../harness/retry.js';

describe("the images of a containerd's directory", { skip: whyWithout('containerd') ?? false }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-containerd-store-'));
  const at = (name: string): string => join(directory, name);
  const name = 'registry.example/team/app:1';
  const image = imageOf({ layers: [layerOf('a', Buffer.from('x'))] });
  const other = imageOf({ config: { config: { Entrypoint: ['/other'] } } });
  let containerd: ChildProcess;

  const ctr = (...args: readonly string[]): void => {
    execFileSync('ctr', ['--address', at('socket'), ...args], { stdio: 'pipe' });
  };
  const load = (namespace: string, of: typeof image, named: string): void => {
    const layout = mkdtempSync(at('layout-'));
    writeLayout(layout, of.manifest, manifestType, [of]);
    const index = join(layout, 'index.json');
    writeFileSync(index, readFileSync(index, 'utf8').replace('"x"', JSON.stringify(named)));
    execFileSync('tar', ['-C', layout, '-cf', at('image.tar'), '.']);
    ctr('--namespace', namespace, 'images', 'import', '--no-unpack', '--all-platforms', at('image.tar'));
  };

  before(async () => {
    containerd = spawn(
      'containerd',
      ['--root', at('root'), '--state', at('state'), '--address', at('socket'), '--log-level', 'error'],
      { stdio: 'inherit' },
    );
    await eventually(() => ctr('version'));
    // Enough that the names lie in several pages.
    for (let index = 0; index < 30; index++)
      load('default', other, `registry.example/n${index}/${'x'.repeat(160)}:1`);
    load('default', other, name);
    load('k8s.io', image, name);
  });
  after(async () => {
    const ended = once(containerd, 'exit');
    containerd.kill();
    await ended;
    rmSync(directory, { recursive: true });
  });

  const pin = (store: string, of = name) => {
    writeFileSync(
      at('pod.yaml'),
      `kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: "${of}"}]}\n`,
    );
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        ctlProgram,
        'config',
        'pin',
        '-f',
        at('pod.yaml'),
        '--images',
        store,
        '--platform',
        `linux/${architecture}`,
      ],
      { encoding: 'utf8' },
    );
    return { code: status, stdout, stderr };
  };

  it('are found by their names while it runs, those of the kubelet first', () => {
    for (const [named, digest] of [
      [name, image.manifest.digest],
      [`registry.example/n17/${'x'.repeat(160)}:1`, other.manifest.digest],
    ] as const) {
      const { code, stdout, stderr } = pin(at('root'), named);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.includes(`"${named}@${digest}"`), stdout);
    }
    const missing = pin(at('root'), 'registry.example/none:1');
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /does not have image registry\.example\/none:1/);
  });

  it('are those of the last transaction', () => {
    load('k8s.io', other, name);
    assert.ok(pin(at('root')).stdout.includes(`"${name}@${other.manifest.digest}"`));
    load('k8s.io', image, name);
    assert.ok(pin(at('root')).stdout.includes(`"${name}@${image.manifest.digest}"`));
  });

  it('of a database that is damaged are errors that name the directory', () => {
    const path = 'io.containerd.metadata.v1.bolt/meta.db';
    const bytes = readFileSync(at(`root/${path}`));
    mkdirSync(at('damaged/io.containerd.metadata.v1.bolt'), { recursive: true });
    const result = (change: (copy: Buffer) => Buffer) => {
      writeFileSync(at(`damaged/${path}`), change(Buffer.from(bytes)));
      const { code, stdout, stderr } = pin(at('damaged'));
      assert.equal(stdout, '');
      assert.match(stderr, /damaged has no images that can be read: /);
      return { code, stderr };
    };
    const empty = result(() => Buffer.alloc(0));
    assert.equal(empty.code, 1);
    assert.match(empty.stderr, /it is not a database of bbolt/);
    const pageSize = bytes.readUInt32LE(24);
    const cut = result((copy) => copy.subarray(0, 3 * pageSize));
    assert.match(cut.stderr, /it is damaged: it ends inside a page/);
    // The beginning of each page after the two first, in turn: an error or the right image, never a crash.
    const allowed = new RegExp(
      `"${name}@${image.manifest.digest}"|has no images that can be read|does not have image`,
    );
    for (let page = 2; page < bytes.length / pageSize; page++) {
      const copy = Buffer.from(bytes);
      copy.fill(0xff, page * pageSize + 8, page * pageSize + 64);
      writeFileSync(at(`damaged/${path}`), copy);
      const { code, stdout, stderr } = pin(at('damaged'));
      assert.ok(code === 0 || code === 1 || code === 3, stderr);
      assert.match(stdout + stderr, allowed);
    }
  });

  it('use the older of two states when the newer was not written whole', () => {
    const path = 'io.containerd.metadata.v1.bolt/meta.db';
    mkdirSync(at('torn'), { recursive: true });
    execFileSync('cp', ['-a', `${at('root')}/.`, at('torn')]);
    const bytes = readFileSync(at(`root/${path}`));
    const pageSize = bytes.readUInt32LE(24);
    const newer = bytes.readBigUInt64LE(64) > bytes.readBigUInt64LE(pageSize + 64) ? 0 : pageSize;
    bytes.writeUInt8(bytes.readUInt8(newer + 72) ^ 1, newer + 72);
    writeFileSync(at(`torn/${path}`), bytes);
    const { code, stdout, stderr } = pin(at('torn'));
    assert.equal(code, 0, stderr);
    // What the last transaction changed can be another thing than this name.
    const digests = [image, other].map(({ manifest }) => `"${name}@${manifest.digest}"`);
    assert.ok(
      digests.some((each) => stdout.includes(each)),
      stdout,
    );
  });
});
