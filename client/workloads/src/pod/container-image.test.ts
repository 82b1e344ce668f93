import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImageConfig } from './container-image.js';

const hash = 'a'.repeat(64);

function parse(members: object): ReturnType<typeof parseImageConfig> {
  return parseImageConfig(JSON.stringify({ config: {}, ...members }));
}

test('layers are counted, and each has a root hash or none has', () => {
  assert.equal(parse({}).layers, undefined);
  const { layers, rootHashes } = parse({ rootfs: { diff_ids: ['x', 'y'] }, roothashes: [hash, hash] });
  assert.deepEqual([layers, rootHashes], [2, [hash, hash]]);
  assert.throws(() => parse({ rootfs: { diff_ids: ['x', 'y', 'z'] }, roothashes: [hash, hash] }), {
    message: 'roothashes must have a hash for each of the 3 layers of rootfs.diff_ids',
  });
  assert.throws(() => parse({ roothashes: [hash] }), /absent for an image of one layer/);
  assert.throws(() => parse({ roothashes: [hash, 'A'.repeat(64)] }), /64 hexadecimal digits/);
  assert.throws(() => parse({ rootfs: { diff_ids: 2 } }), /rootfs\.diff_ids must be a list of strings/);
});

test('what docker inspect prints for an image is read', () => {
  const { entrypoint, env, user, layers, workingDir } = parseImageConfig(
    JSON.stringify([
      {
        Id: 'sha256:x',
        RepoTags: ['app:1'],
        Config: { Entrypoint: ['/app'], Env: ['A=b'], User: '7', Cmd: null, WorkingDir: '/srv' },
        RootFS: { Type: 'layers', Layers: ['x', 'y'] },
      },
    ]),
  );
  assert.deepEqual(
    { entrypoint, env, user, layers, workingDir },
    {
      entrypoint: ['/app'],
      env: ['A=b'],
      user: '7',
      layers: 2,
      workingDir: '/srv',
    },
  );
});

test('other documents of an image are refused by their names, and are not an image without anything', () => {
  const descriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: 'sha256:x', size: 1 };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ schemaVersion: 2, config: descriptor, layers: [] }, /^it is the manifest of an image$/],
    [{ schemaVersion: 2, manifests: [] }, /^it is the index of an image$/],
    [{ schemaVersion: 1, fsLayers: [], history: [] }, /of schema 1$/],
    [{ Name: 'app', Digest: 'sha256:x', Layers: [], Env: ['A=b'] }, /skopeo inspect prints without --config/],
    [[{ Config: {}, State: {} }], /for a container, not for an image$/],
    [
      [
        { Config: {}, RootFS: {} },
        { Config: {}, RootFS: {} },
      ],
      /^it has 2 images, and must have one$/,
    ],
    [{}, /neither config nor rootfs$/],
    [[], /neither config nor rootfs$/],
    ['x', /must be/],
  ];
  for (const [document, message] of cases)
    assert.throws(() => parseImageConfig(JSON.stringify(document)), { name: 'TypeError', message });
});
