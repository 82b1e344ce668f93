import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PullSettings } from '@kata-agent/puller';
import { type ImageErrorCode, ImageError, parseCredentials } from '@kata-agent/registry';
import { Authority } from '../harness/authority.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import {
  architecture,
  imageOf,
  indexOf,
  indexType,
  layerOf,
  manifestType,
  sha256,
  writeLayout,
} from '../harness/oci-image.js';
import { ConnectProxy } from '../harness/proxy.js';
import { whyWithout } from '../harness/prerequisites.js';
import { pullImage, type SignatureEntries, withSignatures } from '../harness/pull-settings.js';

const skip = whyWithout('docker-registry', 'skopeo') ?? false;
const skipSigned = whyWithout('skopeo-sigstore') ?? false;

describe("an image in Debian's docker-registry", { skip }, () => {
  let registry: DockerRegistry;
  let settings: Partial<PullSettings>;
  const image = imageOf();
  const other = imageOf({ config: { architecture: 's390x' } });
  const index = indexOf([
    { image: other.manifest, platform: { os: 'linux', architecture: 's390x' } },
    { image: image.manifest, platform: { os: 'linux', architecture } },
  ]);

  before(async () => {
    registry = await DockerRegistry.start();
    const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
    settings = {
      registryCa: [registry.ca],
      credentials: parseCredentials(Buffer.from(JSON.stringify({ auths: { [registry.host]: { auth } } }))),
    };
    writeLayout(at('single'), image.manifest, manifestType, [image]);
    writeLayout(at('index'), index, indexType, [image, other]);
    registry.push(`oci:${at('single')}:x`, 'team/app:one');
    registry.push(`oci:${at('index')}:x`, 'team/app:all');
  });
  after(() => registry.stop());

  const at = (name: string): string => join(registry.directory, name);
  const refused = async (
    code: ImageErrorCode,
    reference: string,
    change: Partial<PullSettings>,
  ): Promise<void> => {
    await assert.rejects(pullImage(reference, { ...settings, ...change }), (error: unknown) => {
      assert.ok(error instanceof ImageError);
      assert.equal(error.code, code, error.message);
      assert.doesNotMatch(error.message, new RegExp(registryPassword));
      return true;
    });
  };

  it('is pulled by tag, with a private CA and basic authentication', async () => {
    const { image: pulled, layers } = await pullImage(`${registry.host}/team/app:one`, settings);
    assert.equal(pulled.digest, image.manifest.digest);
    assert.equal(pulled.manifestDigest, image.manifest.digest);
    assert.deepEqual(pulled.config.process.entrypoint, ['/a']);
    assert.deepEqual(
      layers.map(sha256),
      image.layers.map(({ digest }) => digest),
    );
    assert.deepEqual(
      pulled.layers.map(({ diffId }) => diffId),
      image.layers.map(({ diffId }) => diffId),
    );
  });

  it('is pulled by the digest of an index, which a tag beside it does not change', async () => {
    for (const name of ['team/app', 'team/app:one']) {
      const { image: pulled } = await pullImage(`${registry.host}/${name}@${index.digest}`, {
        ...settings,
        requireDigest: true,
      });
      assert.equal(pulled.digest, index.digest);
      assert.equal(pulled.manifestDigest, image.manifest.digest);
    }
  });

  it('is pulled in the form of Docker schema 2', async () => {
    registry.push(`oci:${at('single')}:x`, 'team/docker:one', ['--format', 'v2s2']);
    const { image: pulled, layers } = await pullImage(`${registry.host}/team/docker:one`, settings);
    assert.equal(pulled.layers[0]?.mediaType, 'application/vnd.docker.image.rootfs.diff.tar.gzip');
    assert.deepEqual(
      layers.map(sha256),
      image.layers.map(({ digest }) => digest),
    );
  });

  it('is pulled through a mirror, which gets no credentials, and from the registry where that fails', async () => {
    const mirrors = { 'registry.example': registry.host };
    const name = `registry.example/team/app@${index.digest}`;
    await refused('registry-unreachable', name, { mirrors });
    const { image: pulled } = await pullImage(`${registry.host}/team/app@${index.digest}`, {
      ...settings,
      mirrors: { [registry.host]: 'localhost:1/mirror' },
    });
    assert.equal(pulled.digest, index.digest);
  });

  it('is pulled through a proxy', async () => {
    const proxy = await ConnectProxy.start({ [registry.host]: Number(registry.host.split(':')[1]) });
    try {
      await pullImage(`${registry.host}/team/app:one`, settings, {
        proxy: { host: '127.0.0.1', port: proxy.port },
      });
      assert.match(proxy.requests[0] ?? '', new RegExp(`^CONNECT ${registry.host} `));
      assert.doesNotMatch(proxy.requests.join(''), /authorization/i);
    } finally {
      proxy.close();
    }
  });

  it('is refused where the settings do not allow it', async () => {
    const name = `${registry.host}/team/app:one`;
    await refused('registry-not-allowed', name, {
      registries: [['registry.example/**', 'localhost/team/*']],
    });
    // Of each document's list one pattern must match.
    await refused('registry-not-allowed', name, {
      registries: [[`${registry.host}/team/*`], ['registry.example/**']],
    });
    await refused('registry-not-allowed', name, { registries: [['**'], []] });
    await refused('digest-required', name, { requireDigest: true });
    await refused('unauthorized', name, { credentials: [] });
    await refused('unauthorized', name, {
      credentials: [{ scope: registry.host, user: registryUser, password: 'wrong' }],
    });
    await refused('unauthorized', name, {
      credentials: [{ scope: `${registry.host}/te`, user: registryUser, password: registryPassword }],
    });
    await refused('registry-untrusted', name, { registryCa: [new Authority('another').pem] });
    await refused('registry-untrusted', name, { registryCa: [] });
    await refused('not-found', `${registry.host}/team/app:two`, {});
    await refused('not-found', `${registry.host}/team/app@sha256:${'0'.repeat(64)}`, {});
    await refused('image-too-large', name, { maxBytes: 500 });
  });

  it('needs an exact platform', async () => {
    const foreign = indexOf([{ image: other.manifest, platform: { os: 'linux', architecture: 's390x' } }]);
    writeLayout(at('foreign'), foreign, indexType, [other]);
    registry.push(`oci:${at('foreign')}:x`, 'team/foreign:all');
    await refused('platform-missing', `${registry.host}/team/foreign:all`, {});
    writeLayout(at('s390x'), other.manifest, manifestType, [other]);
    registry.push(`oci:${at('s390x')}:x`, 'team/foreign:one');
    await refused('platform-missing', `${registry.host}/team/foreign:one`, {});
  });

  describe('signed by skopeo', { skip: skipSigned }, () => {
    const scope = (): string => `${registry.host}/signed/*`;
    const signatures = (name: string, keys: readonly string[] = ['a']): SignatureEntries => [
      {
        scope: name,
        keys: keys.map((key) => readFileSync(at(`${key}.pub`), 'utf8')),
        formats: ['bundle', 'simple-signing'],
      },
    ];

    before(() => {
      writeFileSync(at('pass'), 'secret');
      mkdirSync(at('registries.d'));
      writeFileSync(
        at('registries.d/test.yaml'),
        `docker: { '${registry.host}': { use-sigstore-attachments: true } }\n`,
      );
      for (const key of ['a', 'b'])
        registry.skopeo([
          'generate-sigstore-key',
          '--output-prefix',
          at(key),
          '--passphrase-file',
          at('pass'),
        ]);
      const sign = ['--registries.d', at('registries.d')];
      const by = ['--sign-by-sigstore-private-key', at('a.private'), '--sign-passphrase-file', at('pass')];
      push('index', 'signed/app:all', [...sign, ...by]);
      push('single', 'signed/app:one', [...sign, ...by]);
      push('single', 'signed/without:one', []);
    });
    const push = (layout: string, name: string, more: readonly string[]): void => {
      const [flag, directory, ...rest] = more;
      registry.skopeo([
        ...(flag === undefined || directory === undefined ? [] : [flag, directory]),
        'copy',
        '-q',
        '--all',
        '--dest-cert-dir',
        at('certs'),
        '--dest-creds',
        `${registryUser}:${registryPassword}`,
        ...rest,
        `oci:${at(layout)}:x`,
        `docker://${registry.host}/${name}`,
      ]);
    };

    it('is accepted by each key of the scope, and the result says what is signed', async () => {
      const byTag = await pullImage(`${registry.host}/signed/app:all`, {
        ...settings,
        ...withSignatures(signatures(scope(), ['b', 'a'])),
      });
      const [verified] = byTag.image.signatures;
      assert.equal(verified?.signed, 'index');
      assert.equal(verified.format, 'simple-signing');
      assert.equal(verified.digest, index.digest);
      const single = await pullImage(`${registry.host}/signed/app@${image.manifest.digest}`, {
        ...settings,
        ...withSignatures(signatures(scope())),
      });
      assert.equal(single.image.signatures[0]?.signed, 'manifest');
    });

    it('is refused without a valid signature', async () => {
      const name = `${registry.host}/signed/app:all`;
      await refused('signature-invalid', name, withSignatures(signatures(scope(), ['b'])));
      await refused('signature-scope-missing', name, withSignatures(signatures(`${registry.host}/team/*`)));
      await refused('signature-scope-missing', name, withSignatures([]));
      await refused(
        'signature-missing',
        `${registry.host}/signed/without:one`,
        withSignatures(signatures(scope())),
      );
      // Both scopes match: both must be met.
      await refused(
        'signature-invalid',
        name,
        withSignatures([...signatures(scope()), ...signatures('**', ['b'])]),
      );
      // Of further documents: what is added to a scope that matches, and nothing to others.
      const added = (...more: Parameters<typeof signatures>): Partial<PullSettings> => ({
        signatures: [
          { entries: signatures(scope()), closed: true },
          { entries: signatures(...more), closed: false },
        ],
      });
      await refused('signature-invalid', name, added('**', ['b']));
      await pullImage(name, { ...settings, ...added('registry.example/**', ['b']) });
      await refused('signature-invalid', name, {
        signatures: [{ entries: signatures(scope(), ['b']), closed: false }],
      });
      // Of several documents that decide each must have a scope for it.
      const decided = (other: string): Partial<PullSettings> => ({
        signatures: [
          { entries: signatures('**'), closed: true },
          { entries: signatures(other), closed: true },
        ],
      });
      await pullImage(name, { ...settings, ...decided(scope()) });
      await refused('signature-scope-missing', name, decided('registry.example/**'));
      // They accept no image that the first document does not.
      await refused('signature-scope-missing', name, {
        signatures: [
          { entries: signatures('registry.example/**'), closed: true },
          { entries: signatures(scope()), closed: false },
        ],
      });
      await refused(
        'signature-missing',
        name,
        withSignatures(signatures(scope()).map((each) => ({ ...each, formats: ['bundle'] }))),
      );
    });

    it('is refused under the tag, or in the repository, of another image', async () => {
      const copy = [
        'copy',
        '-q',
        '--all',
        '--src-cert-dir',
        at('certs'),
        '--src-creds',
        `${registryUser}:${registryPassword}`,
        '--dest-cert-dir',
        at('certs'),
        '--dest-creds',
        `${registryUser}:${registryPassword}`,
      ];
      const tag = `${index.digest.replace(':', '-')}.sig`;
      for (const [from, to] of [
        ['app:all', 'moved:all'],
        [`app:${tag}`, `moved:${tag}`],
        ['app:all', 'app:latest'],
      ])
        registry.skopeo([
          ...copy,
          '--remove-signatures',
          `docker://${registry.host}/signed/${from}`,
          `docker://${registry.host}/signed/${to}`,
        ]);
      await refused(
        'signature-invalid',
        `${registry.host}/signed/moved:all`,
        withSignatures(signatures(scope())),
      );
      await refused(
        'signature-invalid',
        `${registry.host}/signed/app:latest`,
        withSignatures(signatures(scope())),
      );
    });
  });

  describe('encrypted by skopeo', () => {
    const key = (kind: readonly string[], name: string): void => {
      execFileSync('openssl', ['genpkey', ...kind, '-out', at(`${name}.pem`)], { stdio: 'ignore' });
      execFileSync('openssl', ['pkey', '-in', at(`${name}.pem`), '-pubout', '-out', at(`${name}.pub.pem`)]);
    };
    const decryptionKeys = (...names: readonly string[]): Partial<PullSettings> => ({
      decryptionKeys: names.map((name) => readFileSync(at(`${name}.pem`), 'utf8')),
    });

    before(() => {
      key(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], 'rsa');
      key(['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'], 'ec');
      key(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], 'stranger');
      const by = (name: string): readonly string[] => ['--encryption-key', `jwe:${at(`${name}.pub.pem`)}`];
      registry.push(`oci:${at('single')}:x`, 'secret/rsa:one', by('rsa'));
      registry.push(`oci:${at('single')}:x`, 'secret/ec:one', by('ec'));
      registry.push(`oci:${at('single')}:x`, 'secret/both:one', [...by('rsa'), ...by('ec')]);
    });

    it('is decrypted with the private key of a recipient', async () => {
      for (const [name, ...keys] of [
        ['rsa', 'rsa'],
        ['ec', 'ec'],
        ['both', 'stranger', 'ec'],
        ['both', 'rsa'],
      ] as const) {
        const { image: pulled, layers } = await pullImage(`${registry.host}/secret/${name}:one`, {
          ...settings,
          ...decryptionKeys(...keys),
        });
        assert.deepEqual(
          layers.map(sha256),
          image.layers.map(({ digest }) => digest),
          name,
        );
        assert.ok(
          pulled.layers.every(({ encrypted, mediaType }) => encrypted && mediaType.endsWith('tar+gzip')),
        );
      }
    });

    it('is refused without a key', async () => {
      const name = `${registry.host}/secret/both:one`;
      await refused('decryption-key-missing', name, {});
      await refused('decryption-key-missing', name, decryptionKeys('stranger'));
    });
  });

  it('has a large layer, which is received in parts', async () => {
    const large = imageOf({
      layers: [layerOf('large', Buffer.alloc(20 << 20, 'x')), layerOf('b', 'second')],
    });
    writeLayout(at('large'), large.manifest, manifestType, [large]);
    registry.push(`oci:${at('large')}:x`, 'team/large:one');
    const { layers } = await pullImage(`${registry.host}/team/large:one`, settings);
    assert.deepEqual(
      layers.map(sha256),
      large.layers.map(({ digest }) => digest),
    );
  });
});
