import assert from 'node:assert/strict';
import { createDecipheriv, createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { PullDependencies, PullSettings } from '@kata-agent/puller';
import { hasImageCode, ImageError, type ImageErrorCode, imageErrorCodes } from '@kata-agent/registry';
import { Authority } from '../harness/authority.js';
import { type Behaviour, HostileRegistry } from '../harness/hostile-registry.js';
import {
  architecture,
  configType,
  descriptor,
  imageOf,
  indexOf,
  indexType,
  layerOf,
  layerType,
  manifestType,
  type Members,
  sha256,
  type Stored,
  stored,
} from '../harness/oci-image.js';
import { pullImage, shortLimits, withSignatures } from '../harness/pull-settings.js';

const dockerManifestType = 'application/vnd.docker.distribution.manifest.v2+json';
const image = imageOf();
const big = imageOf({
  layers: [layerOf('big', Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i * 31) % 251)))],
});
const [firstLayer = image.layers[0]] = image.layers;
assert.ok(firstLayer);
const platform = { os: 'linux', architecture };

/** The same JSON text with another member first: parsers differ in which they take. */
const withText = (from: Stored, change: (text: string) => string): Stored =>
  stored(Buffer.from(change(from.bytes.toString())));

/** For the first layer as the encrypted bytes. */
const zeroHmac = createHmac('sha256', Buffer.alloc(32)).update(firstLayer.bytes).digest('base64');
const decryptedDigest = sha256(
  createDecipheriv('aes-256-ctr', Buffer.alloc(32), Buffer.alloc(16)).update(firstLayer.bytes),
);
const zeroKey = (digest: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      symkey: Buffer.alloc(32).toString('base64'),
      digest,
      cipheroptions: { nonce: Buffer.alloc(16).toString('base64') },
    }),
  );

interface Case {
  readonly name: string;
  readonly code: ImageErrorCode;
  /** Serves it as the tag `x`. */
  readonly manifest?: Stored;
  readonly mediaType?: string;
  readonly blobs?: readonly Stored[];
  readonly behaviour?: Behaviour;
  readonly reference?: string;
  readonly settings?: Partial<PullSettings>;
  readonly dependencies?: Partial<PullDependencies>;
}

const isBlob = (path: string, { digest }: Stored): boolean => path.includes(`/blobs/${digest}`);
const isManifest = (path: string): boolean => path.includes('/manifests/');

/** Changes one byte in the middle. */
function changed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  const at = copy.length >> 1;
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

function drip(response: ServerResponse, type: string): boolean {
  response.writeHead(200, { 'Content-Type': type });
  const timer = setInterval(() => response.write(' '), 20);
  response.once('close', () => clearInterval(timer));
  return true;
}

function endless(response: ServerResponse, type: string): boolean {
  response.writeHead(200, { 'Content-Type': type });
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, ' '))) continue;
    if (!response.destroyed) response.once('drain', more);
  };
  more();
  return true;
}

const imageIndex = (change: Members = {}, more: Members = {}): Stored =>
  indexOf([{ image: image.manifest, platform, more }], change);

const answerWith =
  (status: number, headers: Readonly<Record<string, string>>): Behaviour =>
  (_path, _request, response) => {
    response.writeHead(status, headers).end();
    return true;
  };

const cases: readonly Case[] = [
  { name: 'a malformed reference', code: 'reference-invalid', reference: 'upper/CASE:x' },
  { name: 'a pattern without a path', code: 'settings-invalid', settings: { registries: [['localhost']] } },
  {
    name: 'a mirror that is not an address',
    code: 'settings-invalid',
    settings: { mirrors: { 'docker.io': 'https://mirror' } },
  },
  {
    name: 'keyless signatures in the policy',
    code: 'settings-invalid',
    settings: withSignatures([{ scope: '**', keys: [], formats: ['keyless'] }]),
  },
  {
    name: 'a registry that is not listed',
    code: 'registry-not-allowed',
    settings: { registries: [['docker.io/**']] },
  },
  { name: 'a tag where a digest is required', code: 'digest-required', settings: { requireDigest: true } },
  { name: 'a port on which nobody listens', code: 'registry-unreachable', reference: 'localhost:1/a:x' },
  {
    name: 'a proxy on which nobody listens',
    code: 'proxy-failed',
    dependencies: { proxy: { host: '127.0.0.1', port: 1 } },
  },
  {
    name: 'a certificate of another CA',
    code: 'registry-untrusted',
    settings: { registryCa: [new Authority('other').pem] },
  },
  { name: 'an unknown tag', code: 'not-found', reference: 'y' },
  { name: 'an error of the server', code: 'registry-failed', behaviour: answerWith(503, {}) },
  { name: 'too many requests', code: 'registry-failed', behaviour: answerWith(429, {}) },
  { name: 'a 401 without a challenge', code: 'unauthorized', behaviour: answerWith(401, {}) },
  {
    name: 'Basic without credentials',
    code: 'unauthorized',
    behaviour: answerWith(401, { 'WWW-Authenticate': 'Basic realm="x"' }),
  },
  {
    name: 'a challenge that names another host',
    code: 'token-host-not-listed',
    behaviour: answerWith(401, {
      'WWW-Authenticate': 'Bearer realm="https://evil.example/token",service="x"',
    }),
  },
  {
    name: 'a challenge that names http',
    code: 'token-host-not-listed',
    behaviour: answerWith(401, { 'WWW-Authenticate': 'Bearer realm="http://localhost/token"' }),
  },
  {
    name: 'a redirect of a manifest',
    code: 'redirect-refused',
    behaviour: answerWith(307, { Location: '/other' }),
  },
  {
    name: 'a redirect of a blob to http',
    code: 'redirect-refused',
    behaviour: (path, _request, response) => {
      if (isManifest(path)) return false;
      response.writeHead(307, { Location: 'http://localhost/blob' }).end();
      return true;
    },
  },
  {
    name: 'a redirect of a blob to itself',
    code: 'redirect-refused',
    behaviour: (path, _request, response) => {
      if (isManifest(path)) return false;
      response.writeHead(307, { Location: path }).end();
      return true;
    },
  },
  {
    name: 'an answer that is not HTTP',
    code: 'answer-invalid',
    behaviour: (_path, { socket }) => {
      socket.end('SSH-2.0-x\r\n\r\n');
      return true;
    },
  },
  {
    name: 'informational answers without end',
    code: 'answer-invalid',
    behaviour: (_path, _request, response) => {
      response.writeProcessing();
      return true;
    },
  },
  {
    name: 'headers without end',
    code: 'answer-invalid',
    behaviour: (_path, { socket }) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      const timer = setInterval(() => socket.write(`X: ${'x'.repeat(4_000)}\r\n`), 5);
      socket.once('close', () => clearInterval(timer));
      return true;
    },
  },
  {
    name: 'a manifest with a content encoding',
    code: 'answer-invalid',
    behaviour: answerWith(200, { 'Content-Type': manifestType, 'Content-Encoding': 'gzip' }),
  },
  { name: 'a manifest without a media type', code: 'answer-invalid', behaviour: answerWith(200, {}) },
  {
    name: 'a manifest without end',
    code: 'answer-too-large',
    behaviour: (_path, _request, response) => endless(response, manifestType),
  },
  {
    name: 'a manifest that is announced with 5 MB',
    code: 'answer-too-large',
    behaviour: answerWith(200, { 'Content-Type': manifestType, 'Content-Length': '5000000' }),
  },
  {
    name: 'a manifest in drops',
    code: 'too-slow',
    behaviour: (_path, _request, response) => drip(response, manifestType),
  },
  {
    name: 'a blob in drops',
    code: 'too-slow',
    behaviour: (path, _request, response) =>
      isBlob(path, firstLayer) && drip(response, 'application/octet-stream'),
  },
  { name: 'no answer', code: 'too-slow', behaviour: () => true },
  {
    name: 'a pull that takes too long',
    code: 'too-slow',
    behaviour: () => true,
    dependencies: { totalMs: 200 },
  },
  {
    name: 'a caller that ends the pull',
    code: 'canceled',
    behaviour: () => true,
    dependencies: { signal: AbortSignal.timeout(0) },
  },
  {
    name: 'a blob with a changed byte',
    code: 'digest-mismatch',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, firstLayer)) return false;
      response.end(changed(firstLayer.bytes));
      return true;
    },
  },
  {
    name: 'a configuration with a changed byte',
    code: 'digest-mismatch',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, image.config)) return false;
      response.end(changed(image.config.bytes));
      return true;
    },
  },
  {
    name: 'a manifest with another digest',
    code: 'digest-mismatch',
    reference: `@${image.manifest.digest}`,
    behaviour: (path, _request, response) => {
      if (!isManifest(path)) return false;
      response
        .writeHead(200, { 'Content-Type': manifestType, 'Docker-Content-Digest': image.manifest.digest })
        .end(big.manifest.bytes);
      return true;
    },
  },
  {
    name: 'a shorter blob',
    code: 'size-mismatch',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, firstLayer)) return false;
      response.writeHead(200, { 'Transfer-Encoding': 'chunked' }).end(firstLayer.bytes.subarray(1));
      return true;
    },
  },
  {
    name: 'a longer blob',
    code: 'size-mismatch',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, firstLayer)) return false;
      response
        .writeHead(200, { 'Transfer-Encoding': 'chunked' })
        .end(Buffer.concat([firstLayer.bytes, firstLayer.bytes]));
      return true;
    },
  },
  {
    name: 'a blob without end',
    code: 'size-mismatch',
    behaviour: (path, _request, response) =>
      isBlob(path, firstLayer) && endless(response, 'application/octet-stream'),
  },
  {
    name: 'a blob that is announced with another size',
    code: 'size-mismatch',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, firstLayer)) return false;
      response.writeHead(200, { 'Content-Length': '5' }).end('12345');
      return true;
    },
  },
  {
    name: 'a manifest of another size than in the index',
    code: 'size-mismatch',
    manifest: imageIndex({}, { size: 5 }),
    mediaType: indexType,
  },
  {
    name: 'a blob that is cut at each try',
    code: 'registry-unreachable',
    behaviour: (path, _request, response) => {
      if (!isBlob(path, firstLayer)) return false;
      response.writeHead(200, { 'Content-Length': firstLayer.bytes.length });
      response.write(firstLayer.bytes.subarray(0, 5), () => response.destroy());
      return true;
    },
  },
  { name: 'a manifest that is not JSON', code: 'manifest-invalid', manifest: stored(Buffer.from('{')) },
  {
    name: 'a manifest that is not UTF-8',
    code: 'manifest-invalid',
    manifest: stored(Buffer.from([0x22, 0xff, 0x22])),
  },
  {
    name: 'a manifest with a name twice',
    code: 'manifest-invalid',
    manifest: withText(image.manifest, (text) => `{"layers":[],${text.slice(1)}`),
  },
  {
    name: 'a manifest with a name twice, once escaped',
    code: 'manifest-invalid',
    manifest: withText(image.manifest, (text) => String.raw`{"\u006cayers":[],${text.slice(1)}`),
  },
  {
    name: 'a manifest of 10,000 levels',
    code: 'manifest-invalid',
    manifest: withText(
      image.manifest,
      (text) => `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)},${text.slice(1)}`,
    ),
  },
  {
    name: 'a manifest that is an index too',
    code: 'manifest-invalid',
    manifest: imageOf({ manifest: { manifests: [] } }).manifest,
  },
  {
    name: 'an index that is a manifest too',
    code: 'manifest-invalid',
    manifest: imageIndex({ layers: [] }),
    mediaType: indexType,
  },
  {
    name: 'a manifest that says to be an index',
    code: 'manifest-invalid',
    manifest: imageOf({ manifest: { mediaType: indexType } }).manifest,
  },
  { name: 'an index with the header of a manifest', code: 'manifest-invalid', manifest: imageIndex() },
  {
    name: 'a manifest of Docker without its media type',
    code: 'manifest-invalid',
    manifest: imageOf({ manifest: { mediaType: undefined } }).manifest,
    mediaType: dockerManifestType,
  },
  {
    name: 'a manifest of another type than in the index',
    code: 'manifest-invalid',
    manifest: imageIndex({}, { mediaType: dockerManifestType }),
    mediaType: indexType,
  },
  {
    name: 'a size that is not an integer',
    code: 'manifest-invalid',
    manifest: imageOf({ layer: { size: 1.5 } }).manifest,
  },
  { name: 'a negative size', code: 'manifest-invalid', manifest: imageOf({ layer: { size: -1 } }).manifest },
  {
    name: 'a digest of MD5',
    code: 'manifest-invalid',
    manifest: imageOf({ layer: { digest: `md5:${'0'.repeat(32)}` } }).manifest,
  },
  {
    name: 'a digest with a path',
    code: 'manifest-invalid',
    manifest: imageOf({ layer: { digest: 'sha256:../../etc/passwd' } }).manifest,
  },
  { name: 'no layers', code: 'manifest-invalid', manifest: imageOf({ manifest: { layers: [] } }).manifest },
  {
    name: 'a configuration without diff_ids',
    code: 'manifest-invalid',
    ...withConfig({ rootfs: { type: 'layers' } }),
  },
  {
    name: 'a configuration with too few diff_ids',
    code: 'manifest-invalid',
    ...withConfig({ rootfs: { type: 'layers', diff_ids: [firstLayer.diffId] } }),
  },
  {
    name: 'an entrypoint that is a string',
    code: 'manifest-invalid',
    ...withConfig({ config: { Entrypoint: '/bin/sh' } }),
  },
  {
    name: 'schema 1',
    code: 'manifest-unsupported',
    manifest: stored({ schemaVersion: 1, fsLayers: [] }),
    mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
  },
  {
    name: 'an index of indexes',
    code: 'manifest-unsupported',
    manifest: imageIndex({}, { mediaType: indexType }),
    mediaType: indexType,
  },
  {
    name: 'a foreign layer',
    code: 'manifest-unsupported',
    manifest: imageOf({ layer: { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' } })
      .manifest,
  },
  {
    name: 'a layer that is not distributable',
    code: 'manifest-unsupported',
    manifest: imageOf({
      layer: { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' },
    }).manifest,
  },
  {
    name: 'a layer with urls',
    code: 'manifest-unsupported',
    manifest: imageOf({ layer: { urls: ['https://evil.example/layer'] } }).manifest,
  },
  {
    name: 'another artifact',
    code: 'manifest-unsupported',
    manifest: imageOf({ manifest: { config: descriptor('application/vnd.oci.empty.v1+json', stored({})) } })
      .manifest,
  },
  {
    name: 'no image for the platform',
    code: 'platform-missing',
    manifest: indexOf([{ image: image.manifest, platform: { ...platform, os: 'windows' } }]),
    mediaType: indexType,
  },
  {
    name: 'an image for another variant only',
    code: 'platform-missing',
    manifest: indexOf([{ image: image.manifest, platform: { ...platform, variant: 'v3' } }]),
    mediaType: indexType,
  },
  {
    name: 'an entry without a platform',
    code: 'platform-missing',
    manifest: imageIndex({}, { platform: undefined }),
    mediaType: indexType,
  },
  {
    name: 'a configuration for another platform',
    code: 'platform-missing',
    ...withConfig({ architecture: 's390x' }),
  },
  {
    name: '128 layers',
    code: 'image-too-large',
    manifest: imageOf({
      manifest: { layers: Array.from({ length: 128 }, () => descriptor(layerType, firstLayer)) },
    }).manifest,
  },
  {
    name: 'layers of 2^52 bytes',
    code: 'image-too-large',
    manifest: imageOf({ layer: { size: 2 ** 52 } }).manifest,
  },
  {
    name: 'a configuration of 5 MB',
    code: 'image-too-large',
    manifest: imageOf({ manifest: { config: descriptor(configType, image.config, { size: 5_000_000 }) } })
      .manifest,
  },
  {
    name: 'an encrypted layer without a key',
    code: 'decryption-key-missing',
    ...encrypted({ 'org.opencontainers.image.enc.pubopts': publicOptions() }),
  },
  { name: 'an encrypted layer without options', code: 'decryption-failed', ...encrypted({}) },
  {
    name: 'an encrypted layer with a nonce for all to see',
    code: 'decryption-failed',
    ...encrypted({
      'org.opencontainers.image.enc.pubopts': publicOptions({
        cipheroptions: { nonce: 'AAAAAAAAAAAAAAAAAAAAAA==' },
      }),
    }),
  },
  {
    name: 'an encrypted layer with another HMAC, whose bytes are right',
    code: 'decryption-failed',
    ...encrypted({
      'org.opencontainers.image.enc.pubopts': publicOptions(),
      'org.opencontainers.image.enc.keys.provider.test': 'eA==',
    }),
    dependencies: { unwrapKey: () => Promise.resolve(zeroKey(decryptedDigest)) },
  },
  {
    name: 'an encrypted layer that decrypts to other bytes',
    code: 'decryption-failed',
    ...encrypted({
      'org.opencontainers.image.enc.pubopts': publicOptions({ hmac: zeroHmac }),
      'org.opencontainers.image.enc.keys.provider.test': 'eA==',
    }),
    dependencies: { unwrapKey: () => Promise.resolve(zeroKey(image.manifest.digest)) },
  },
  {
    name: 'a directory that does not exist',
    code: 'storage-failed',
    dependencies: { directory: '/nonexistent/pull' },
  },
  { name: 'no scope of the policy', code: 'signature-scope-missing', settings: withSignatures([]) },
];

/** Codes that other tests cause. */
const elsewhere: readonly ImageErrorCode[] = [
  // tests/functional/image-signatures.test.ts
  'signature-missing',
  'signature-invalid',
  // tests/root/image-disk-full.test.ts
  'disk-full',
];

function withConfig(change: Members): Pick<Case, 'manifest' | 'blobs'> {
  const { manifest, config } = imageOf({ config: change, layers: image.layers });
  return { manifest, blobs: [config] };
}

function encrypted(annotations: Members): Pick<Case, 'manifest' | 'blobs'> {
  const { manifest, config } = imageOf({
    layers: image.layers.slice(0, 1),
    layer: { mediaType: `${layerType}+encrypted`, annotations },
  });
  return { manifest, blobs: [config] };
}

function publicOptions(change: Members = {}): string {
  const options = {
    cipher: 'AES_256_CTR_HMAC_SHA256',
    hmac: Buffer.alloc(32).toString('base64'),
    cipheroptions: {},
    ...change,
  };
  return Buffer.from(JSON.stringify(options)).toString('base64');
}

describe('a hostile registry', () => {
  const authority = new Authority('test CA');
  let registry: HostileRegistry;
  /** With another name and the same CA. */
  let other: HostileRegistry;

  before(async () => {
    registry = await HostileRegistry.start(authority.server(['localhost']));
    other = await HostileRegistry.start(authority.server([], { ips: ['127.0.0.1'] }));
  });
  after(() => Promise.all([registry.stop(), other.stop()]));
  beforeEach(() => {
    registry.reset();
    other.reset();
    registry.putImage(image, 'x');
    registry.putImage(big, 'big');
    registry.putManifest(imageIndex(), indexType, 'all');
  });

  const name = (tag: string): string =>
    `localhost:${registry.port}/team/app${tag.startsWith('@') ? tag : `:${tag}`}`;
  const secret = 'p4ssword';
  const settingsOf = (change: Partial<PullSettings> = {}): Partial<PullSettings> => ({
    registryCa: [authority.pem],
    credentials: [{ scope: `localhost:${registry.port}/team`, user: 'u', password: secret }],
    ...change,
  });
  const pulling = (
    tag: string,
    change: Partial<PullSettings> = {},
    dependencies: Partial<PullDependencies> = {},
  ): ReturnType<typeof pullImage> =>
    pullImage(name(tag), settingsOf(change), { limits: shortLimits, ...dependencies });

  const asked = (server: HostileRegistry): string => JSON.stringify(server.requests);
  const basic = Buffer.from(`u:${secret}`).toString('base64');

  describe('is refused with', () => {
    for (const each of cases)
      it(`${each.code}: ${each.name}`, async () => {
        const {
          code,
          manifest,
          mediaType = manifestType,
          blobs = [],
          behaviour,
          reference = 'x',
          settings = {},
          dependencies = {},
        } = each;
        if (manifest !== undefined) registry.putManifest(manifest, mediaType, 'x');
        for (const blob of blobs) registry.putBlob(blob);
        if (behaviour !== undefined) registry.behaviour = behaviour;
        const whole = /[/]/.test(reference) ? reference : name(reference);
        const withoutCredentials = code === 'unauthorized' ? { credentials: [] } : {};
        const error: unknown = await pullImage(whole, settingsOf({ ...withoutCredentials, ...settings }), {
          limits: shortLimits,
          ...dependencies,
        }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        assert.ok(error instanceof ImageError, String(error));
        assert.equal(error.code, code, error.message);
        // One line, without a full stop, without what the server chose or a secret.
        assert.match(error.message, /^[\x20-\x7e…]{5,400}[^.]$/);
        assert.doesNotMatch(error.message, /evil\.example\/|p4ssword/);
        assert.match(error.remedy, /^[a-z].{10,}[^.]$/);
      });

    it('every code of the table', () => {
      const caused = new Set([...cases.map(({ code }) => code), ...elsewhere]);
      assert.deepEqual([...caused].toSorted(), Object.keys(imageErrorCodes).toSorted());
    });
  });

  it('is pulled from when it is honest', async () => {
    for (const tag of ['x', 'all', `@${image.manifest.digest}`, `x@${image.manifest.digest}`]) {
      const { image: pulled, layers } = await pulling(tag);
      assert.equal(pulled.manifestDigest, image.manifest.digest);
      assert.deepEqual(
        layers.map(sha256),
        image.layers.map(({ digest }) => digest),
      );
    }
    assert.equal(
      registry.requests.some(({ headers }) => headers.authorization !== undefined),
      false,
    );
    assert.ok(registry.requests.every(({ headers }) => headers['user-agent'] === 'kata-agent/test'));
  });

  it('has layers twice, which are fetched once', async () => {
    const twice = imageOf({ layers: [firstLayer, firstLayer] });
    registry.putImage(twice, 'twice');
    const { layers } = await pulling('twice');
    assert.equal(layers.length, 2);
    assert.equal(registry.requests.filter(({ path }) => isBlob(path, firstLayer)).length, 1);
  });

  it('moves a tag between requests: what was named first is pulled', async () => {
    registry.behaviour = (path) => {
      if (path.endsWith('/manifests/all'))
        queueMicrotask(() => registry.putManifest(big.manifest, manifestType, 'all'));
    };
    const { image: pulled } = await pulling('all');
    assert.equal(pulled.digest, imageIndex().digest);
    assert.equal(pulled.manifestDigest, image.manifest.digest);
    assert.equal(registry.requests.filter(({ path }) => path.endsWith('/all')).length, 1);
  });

  describe('cuts connections', () => {
    const [layer = firstLayer] = big.layers;
    const cutAfter =
      (bytes: number, answer: 200 | 206 = 206): Behaviour =>
      (path, { headers }, response) => {
        if (!isBlob(path, layer)) return false;
        const from = answer === 206 ? Number(/=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0) : 0;
        const to = Math.min(from + bytes, layer.bytes.length);
        const whole = from + bytes >= layer.bytes.length;
        response.writeHead(from === 0 ? 200 : 206, {
          'Content-Length': layer.bytes.length - from,
          ...(from === 0
            ? {}
            : { 'Content-Range': `bytes ${from}-${layer.bytes.length - 1}/${layer.bytes.length}` }),
        });
        if (whole) response.end(layer.bytes.subarray(from));
        else response.write(layer.bytes.subarray(from, to), () => setTimeout(() => response.destroy(), 20));
        return true;
      };
    const downloads = (): number => registry.requests.filter(({ path }) => isBlob(path, layer)).length;

    it('and is resumed where it ended', async () => {
      for (let point = 1; point <= 10; point += 1) {
        registry.reset();
        registry.behaviour = cutAfter(Math.ceil((layer.bytes.length * (point + 9)) / 40));
        const { layers } = await pulling('big');
        assert.equal(sha256(layers[0] ?? Buffer.alloc(0)), layer.digest);
        assert.ok(downloads() > 1);
        assert.ok(
          registry.requests
            .filter(({ path }) => isBlob(path, layer))
            .slice(1)
            .every(({ headers }) => /^bytes=[1-9]\d*-$/.test(headers.range ?? '')),
        );
      }
    });

    it('and is given up after five more requests', async () => {
      registry.behaviour = cutAfter(10);
      await assert.rejects(pulling('big'), (error) => hasImageCode(error, 'registry-unreachable'));
      assert.equal(downloads(), 6);
    });

    it('and sends the whole blob again, or another range', async () => {
      let count = 0;
      const first = cutAfter(1_000, 200);
      registry.behaviour = (path, request, response) => {
        if (!isBlob(path, layer)) return false;
        count += 1;
        if (count === 1) return first(path, request, response);
        response.writeHead(200).end(layer.bytes);
        return true;
      };
      await pulling('big');
      count = 0;
      registry.behaviour = (path, request, response) => {
        if (!isBlob(path, layer)) return false;
        count += 1;
        if (count === 1) return first(path, request, response);
        response
          .writeHead(206, { 'Content-Range': `bytes 0-${layer.bytes.length - 1}/${layer.bytes.length}` })
          .end(layer.bytes);
        return true;
      };
      await assert.rejects(pulling('big'), (error) => hasImageCode(error, 'answer-invalid'));
    });
  });

  describe('asks for credentials', () => {
    const challenge =
      (server: HostileRegistry, wanted: string): Behaviour =>
      (path, { headers }, response) => {
        if (path.startsWith('/token')) {
          response.end(JSON.stringify({ token: 'abc' }));
          return true;
        }
        if (headers.authorization === wanted) return false;
        const host = server === other ? `127.0.0.1:${other.port}` : `localhost:${registry.port}`;
        response
          .writeHead(401, {
            'WWW-Authenticate': `Bearer realm="https://${host}/token?keep=1",service="s p",scope="repository:other/secret:pull,push"`,
          })
          .end();
        return true;
      };

    it('and gets a token of itself, for this repository alone', async () => {
      registry.behaviour = challenge(registry, 'Bearer abc');
      await pulling('x');
      const [token, ...rest] = registry.requests.filter(({ path }) => path.startsWith('/token'));
      assert.equal(token?.path, '/token?keep=1&scope=repository%3Ateam%2Fapp%3Apull&service=s+p');
      assert.equal(token.headers.authorization, `Basic ${basic}`);
      assert.deepEqual(rest, []);
      // The password goes nowhere else.
      assert.equal(
        registry.requests.filter(({ headers }) => headers.authorization === `Basic ${basic}`).length,
        1,
      );
    });

    it('and gets one of another host only if that is listed', async () => {
      registry.behaviour = challenge(other, 'Bearer abc');
      other.behaviour = challenge(other, '');
      await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'token-host-not-listed'));
      assert.equal(other.requests.length, 0);
      await assert.rejects(
        pulling('x', { tokenHosts: { 'registry.example': [`127.0.0.1:${other.port}`] } }),
        (error) => hasImageCode(error, 'token-host-not-listed'),
      );
      await pulling('x', { tokenHosts: { [`localhost:${registry.port}`]: [`127.0.0.1:${other.port}`] } });
      assert.equal(other.requests[0]?.headers.authorization, `Basic ${basic}`);
      assert.doesNotMatch(asked(registry), new RegExp(basic));
    });

    it('without end, and is asked twice', async () => {
      registry.behaviour = challenge(registry, 'Bearer never');
      await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'unauthorized'));
      assert.equal(registry.requests.filter(({ path }) => isManifest(path)).length, 2);
    });

    it('of another scope, which it does not get', async () => {
      registry.behaviour = challenge(registry, 'Bearer abc');
      await pulling('x', {
        credentials: [
          { scope: `localhost:${registry.port}/tea`, user: 'u', password: secret },
          { scope: 'localhost', user: 'u', password: secret },
        ],
      });
      assert.doesNotMatch(asked(registry), /Basic/);
    });

    it('with a malformed token', async () => {
      for (const answer of [
        '{"token":"a b"}',
        '{"token":"a\\r\\nX: y"}',
        '{}',
        '[]',
        '{"token":1}',
        '{"token":"a","token":"b"}',
      ]) {
        registry.behaviour = (path, request, response) => {
          if (!path.startsWith('/token')) return challenge(registry, 'Bearer never')(path, request, response);
          response.end(answer);
          return true;
        };
        await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'answer-invalid'), answer);
      }
    });

    it('where it redirects a blob to: it goes there without them', async () => {
      const ask = challenge(registry, 'Bearer abc');
      registry.behaviour = (path, request, response) => {
        if (ask(path, request, response) === true) return true;
        if (isManifest(path)) return false;
        response
          .writeHead(307, { Location: `https://127.0.0.1:${other.port}/storage${path}?signed=1` })
          .end();
        return true;
      };
      other.behaviour = (path, _request, response) => {
        const blob = [image.config, ...image.layers].find(({ digest }) => path.includes(digest));
        response.end(blob?.bytes);
        return true;
      };
      const { layers } = await pulling('x');
      assert.equal(layers.length, 2);
      assert.equal(other.requests.length, 3);
      assert.ok(other.requests.every(({ headers }) => headers.authorization === undefined));
      assert.doesNotMatch(asked(other), /abc|p4ss/);
      // A place of redirection that asks gets none either.
      other.behaviour = answerWith(401, { 'WWW-Authenticate': 'Basic realm="x"' });
      await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'unauthorized'));
      assert.ok(other.requests.every(({ headers }) => headers.authorization === undefined));
    });

    it('as a mirror: it gets none, and a wrong answer of it is not replaced by the registry', async () => {
      const mirrors = { [`localhost:${registry.port}/team`]: `127.0.0.1:${other.port}/mirror` };
      other.behaviour = answerWith(401, { 'WWW-Authenticate': 'Basic realm="x"' });
      await pulling(`@${image.manifest.digest}`, { mirrors });
      assert.ok(other.requests.length > 0);
      assert.ok(
        other.requests.every(
          ({ path, headers }) => headers.authorization === undefined && path.startsWith('/v2/mirror/app/'),
        ),
      );
      other.behaviour = (_path, _request, response) => {
        response.writeHead(200, { 'Content-Type': manifestType }).end(big.manifest.bytes);
        return true;
      };
      await assert.rejects(pulling(`@${image.manifest.digest}`, { mirrors }), (error) =>
        hasImageCode(error, 'digest-mismatch'),
      );
      // A tag is looked up at the registry alone.
      other.reset();
      await pulling('x', { mirrors });
      assert.equal(other.requests.length, 0);
    });
  });

  it('has a name that its certificate does not have', async () => {
    await assert.rejects(
      pullImage(`127.0.0.1:${registry.port}/team/app:x`, settingsOf(), { limits: shortLimits }),
      (error) => hasImageCode(error, 'registry-untrusted'),
    );
    const cn = await HostileRegistry.start(authority.server([], { commonNames: ['localhost'] }));
    await assert.rejects(
      pullImage(`localhost:${cn.port}/team/app:x`, settingsOf(), { limits: shortLimits }),
      (error) => hasImageCode(error, 'registry-untrusted'),
    );
    await cn.stop();
  });

  it('is behind a proxy that lies', async () => {
    for (const [answer, code] of [
      ['HTTP/1.1 403 Forbidden\r\n\r\n', 'proxy-failed'],
      ['HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', 'proxy-failed'],
      ['nonsense\r\n\r\n', 'proxy-failed'],
      ['HTTP/1.1 200 OK\r\n\r\n', 'registry-unreachable'],
    ] as const) {
      const proxy = createServer((client) => {
        client.on('error', () => undefined);
        client.once('data', () => {
          client.write(answer);
          setTimeout(() => client.destroy(), 50);
        });
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => proxy.once('listening', resolve));
      const { port } = proxy.address() as AddressInfo;
      await assert.rejects(
        pulling('x', {}, { proxy: { host: '127.0.0.1', port } }),
        (error) => hasImageCode(error, code),
        answer,
      );
      proxy.close();
    }
  });

  it('redirects blobs to itself, which is followed five times, and never with a user in the URL', async () => {
    const redirect =
      (location: (path: string) => string): Behaviour =>
      (path, _request, response) => {
        if (isManifest(path)) return false;
        response.writeHead(307, { Location: location(path) }).end();
        return true;
      };
    registry.behaviour = redirect((path) => path);
    await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'redirect-refused'));
    assert.equal(registry.requests.filter(({ path }) => !isManifest(path)).length, 6);
    registry.behaviour = redirect((path) => `https://user:pass@127.0.0.1:${other.port}${path}`);
    await assert.rejects(pulling('x'), (error) => hasImageCode(error, 'redirect-refused'));
    assert.equal(other.requests.length, 0);
  });

  it('accepts connections, and does nothing', async () => {
    const silent = createServer((client) => client.on('error', () => undefined)).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    const limits = { ...shortLimits, connectMs: 200 };
    await assert.rejects(pullImage(`localhost:${port}/a:x`, settingsOf(), { limits }), (error) =>
      hasImageCode(error, 'registry-unreachable'),
    );
    await assert.rejects(pulling('x', {}, { limits, proxy: { host: '127.0.0.1', port } }), (error) =>
      hasImageCode(error, 'proxy-failed'),
    );
    silent.close();
  });

  it('leaves no connection behind', async () => {
    await pulling('x');
    const probe = connect(registry.port, '127.0.0.1');
    await new Promise((resolve) => probe.once('connect', resolve));
    probe.destroy();
    const { sockets } = {
      sockets: process.getActiveResourcesInfo().filter((kind) => kind === 'TLSSocketWrap'),
    };
    assert.equal(sockets.length, 0);
  });
});
