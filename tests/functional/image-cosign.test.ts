import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PullSettings } from '@kata-agent/puller';
import { hasImageCode, type ImageErrorCode, parseCredentials } from '@kata-agent/registry';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { imageOf, manifestType, writeLayout } from '../harness/oci-image.js';
import { whyWithout } from '../harness/prerequisites.js';
import { pullImage, withSignatures } from '../harness/pull-settings.js';
import { SigstoreServer } from '../harness/sigstore-server.js';

const skip = whyWithout('docker-registry', 'skopeo', 'cosign') ?? false;

describe('signatures of cosign', { skip }, () => {
  let registry: DockerRegistry;
  const image = imageOf();

  before(async () => {
    registry = await DockerRegistry.start();
    writeLayout(at('image'), image.manifest, manifestType, [image]);
    for (const name of ['signed', 'stated', 'attested'])
      registry.push(`oci:${at('image')}:x`, `team/${name}:one`);
    for (const key of ['a', 'b']) cosign('generate-key-pair', '--output-key-prefix', at(key));
    writeFileSync(at('predicate.json'), '{}');
    cosign('sign', ...access(), named('signed'));
    // What `cosign sign` of version 3 writes: 2.5, which is Debian's, writes bundles only for attestations.
    cosign(
      'attest',
      ...access(),
      '--new-bundle-format',
      '--predicate',
      at('predicate.json'),
      '--type',
      'https://sigstore.dev/cosign/sign/v1',
      named('stated'),
    );
    cosign(
      'attest',
      ...access(),
      '--new-bundle-format',
      '--predicate',
      at('predicate.json'),
      '--type',
      'https://example.com/other',
      named('attested'),
    );
  });
  after(() => registry.stop());

  const at = (name: string): string => join(registry.directory, name);
  const named = (name: string): string => `${registry.host}/team/${name}@${image.manifest.digest}`;
  const access = (): readonly string[] => [
    '--key',
    at('a.key'),
    '--tlog-upload=false',
    '--yes',
    ...registryAccess(),
  ];
  const registryAccess = (): readonly string[] => [
    '--registry-cacert',
    at('certs/ca.crt'),
    '--registry-username',
    registryUser,
    '--registry-password',
    registryPassword,
  ];
  const cosign = (...args: readonly string[]): string =>
    execFileSync('cosign', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: registry.directory,
      env: { ...process.env, HOME: registry.directory, COSIGN_PASSWORD: 'secret' },
    });

  const settings = (key: string, format: string): Partial<PullSettings> => {
    const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
    return {
      registryCa: [registry.ca],
      credentials: parseCredentials(Buffer.from(JSON.stringify({ auths: { [registry.host]: { auth } } }))),
      ...withSignatures([
        {
          scope: `${registry.host}/team/*`,
          keys: [readFileSync(at(`${key}.pub`), 'utf8')],
          formats: [format],
        },
      ]),
    };
  };
  const refused = (name: string, key: string, format: string, code: ImageErrorCode): Promise<void> =>
    assert.rejects(pullImage(name, settings(key, format)), (error) => hasImageCode(error, code));

  it('in simple signing are accepted by their key', async () => {
    const { image: pulled } = await pullImage(named('signed'), settings('a', 'simple-signing'));
    assert.equal(pulled.signatures[0]?.format, 'simple-signing');
    // cosign signs a repository without a tag.
    await pullImage(`${registry.host}/team/signed:one`, settings('a', 'simple-signing'));
    await refused(named('signed'), 'b', 'simple-signing', 'signature-invalid');
    await refused(named('signed'), 'a', 'bundle', 'signature-missing');
  });

  it('in bundles are accepted by their key, found by the tag of referrers', async () => {
    const { image: pulled } = await pullImage(named('stated'), settings('a', 'bundle'));
    assert.equal(pulled.signatures[0]?.format, 'bundle');
    await refused(named('stated'), 'b', 'bundle', 'signature-invalid');
    await refused(named('stated'), 'a', 'simple-signing', 'signature-missing');
  });

  describe('without a key', () => {
    const identity = { issuer: 'https://accounts.example.com', subject: 'https://ci.example/team/app' };
    let server: SigstoreServer;
    before(async () => {
      for (const name of ['keyless', 'keyless-stated'])
        registry.push(`oci:${at('image')}:x`, `team/${name}:one`);
      server = await SigstoreServer.start(registry.directory, identity);
      await server.cosign('sign', [...registryAccess(), named('keyless')]);
      await server.cosign('attest', [
        ...registryAccess(),
        '--new-bundle-format',
        '--predicate',
        at('predicate.json'),
        '--type',
        'https://sigstore.dev/cosign/sign/v1',
        named('keyless-stated'),
      ]);
    });
    after(() => server.stop());

    const keyless = (format: string, { subject } = identity): Partial<PullSettings> => ({
      ...settings('a', format),
      ...withSignatures([
        {
          scope: `${registry.host}/team/*`,
          keys: [],
          keyless: {
            trustedRoot: server.sigstore.trustedRoot(),
            identities: [{ ...identity, subject }],
          },
          formats: [format],
        },
      ]),
    });

    for (const [format, name] of [
      ['simple-signing', 'keyless'],
      ['bundle', 'keyless-stated'],
    ] as const)
      it(`are accepted as ${format}, by identity and trusted root`, async () => {
        const { image: pulled } = await pullImage(named(name), keyless(format));
        assert.equal(pulled.signatures[0]?.format, format);
        assert.equal(pulled.signatures[0].signer, `${identity.subject} by ${identity.issuer}`);
        await assert.rejects(
          pullImage(named(name), keyless(format, { ...identity, subject: 'https://ci.example/team/other' })),
          (error) => hasImageCode(error, 'signature-invalid'),
        );
      });
  });

  it('do not count when they are attestations', async () => {
    await refused(named('attested'), 'a', 'bundle', 'signature-invalid');
  });
});
