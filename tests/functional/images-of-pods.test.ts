import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { architecture, imageOf, indexOf, indexType, writeLayout } from '../harness/oci-image.js';
import { whyWithout } from '../harness/prerequisites.js';
import { ctlProgram } from '../harness/repository.js';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

describe('configurations of images from a registry', {
  skip: whyWithout('docker-registry', 'skopeo') ?? false,
}, () => {
  let registry: DockerRegistry;
  const directory = mkdtempSync(join(tmpdir(), 'kata-images-of-pods-'));
  const at = (name: string): string => join(directory, name);
  const image = imageOf();
  const other = imageOf({ config: { architecture: 's390x' } });
  const index = indexOf([
    { image: other.manifest, platform: { os: 'linux', architecture: 's390x' } },
    { image: image.manifest, platform: { os: 'linux', architecture } },
  ]);

  before(async () => {
    registry = await DockerRegistry.start();
    writeLayout(at('index'), index, indexType, [image, other]);
    registry.push(`oci:${at('index')}:x`, 'team/app:1');
    writeFileSync(at('ca.pem'), registry.ca);
    writeFileSync(
      at('pod.yaml'),
      `kind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: "${registry.host}/team/app:1"}]}\n`,
    );
  });
  after(async () => {
    await registry.stop();
    rmSync(directory, { recursive: true });
  });

  /** A directory of Docker's configuration with credentials, or with the name of a helper. */
  function docker(name: string, configuration: object): string {
    mkdirSync(at(name), { recursive: true });
    writeFileSync(join(at(name), 'config.json'), JSON.stringify(configuration));
    return at(name);
  }

  function generate(dockerConfig: string, ...more: readonly string[]): Promise<Ended> {
    return run(
      dockerConfig,
      'config',
      'generate',
      '--pod',
      at('pod.yaml'),
      '--lock',
      at('images.lock'),
      ...more,
    );
  }

  function run(dockerConfig: string, ...args: readonly string[]): Promise<Ended> {
    const env = {
      ...process.env,
      DOCKER_CONFIG: dockerConfig,
      PATH: `${directory}:${process.env['PATH'] ?? ''}`,
    };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, [ctlProgram, ...args], { env }, (_error, stdout, stderr) => {
        resolve({ code: child.exitCode ?? -1, stdout, stderr });
      });
    });
  }

  const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
  const pull = ['--images', 'pull', '--registry-ca', at('ca.pem'), '--platform', `linux/${architecture}`];

  it("are read with Docker's credentials, and kept in a lock that gives the same result alone", async () => {
    const pulled = await generate(docker('auths', { auths: { [registry.host]: { auth } } }), ...pull);
    assert.equal(pulled.code, 0, pulled.stderr);
    assert.match(pulled.stdout, /\["app", "\/a".*\], \/\/ containers\[0\]\.image/);
    const lock = JSON.parse(readFileSync(at('images.lock'), 'utf8')) as {
      readonly images: Readonly<Record<string, { readonly digest: string; readonly manifestDigest: string }>>;
    };
    const [entry] = Object.values(lock.images);
    assert.deepEqual([entry?.digest, entry?.manifestDigest], [index.digest, image.manifest.digest]);
    const offline = await generate(at('none'), '--images', 'lock');
    assert.deepEqual([offline.code, offline.stdout], [0, pulled.stdout]);
  });

  it('are pinned by the digest of the index, and annotated in the same run', async () => {
    const auths = docker('auths', { auths: { [registry.host]: { auth } } });
    const lock = ['--lock', at('pin.lock')];
    const name = `${registry.host}/team/app:1`;
    const text = readFileSync(at('pod.yaml'), 'utf8');
    const pinned = await run(auths, 'config', 'pin', '-f', at('pod.yaml'), ...pull, ...lock);
    assert.deepEqual([pinned.code, pinned.stdout], [0, text.replace(name, `${name}@${index.digest}`)]);
    const annotate = (from: string, ...more: readonly string[]): Promise<Ended> =>
      run(auths, 'annotate', '-f', at(from), '--pin', ...lock, ...more);
    const annotated = await annotate('pod.yaml', ...pull);
    assert.equal(annotated.code, 0, annotated.stderr);
    assert.ok(annotated.stdout.includes(`"${name}@${index.digest}"`));
    writeFileSync(at('annotated.yaml'), annotated.stdout);
    const again = await annotate('annotated.yaml', '--images', 'lock', '--check');
    assert.deepEqual([again.code, again.stdout], [0, ''], again.stderr);
  });

  it('are read with the credential of a helper', async () => {
    const helper = at('docker-credential-test');
    writeFileSync(
      helper,
      `#!/bin/sh\nread -r server; [ "$server" = "${registry.host}" ] || { echo credentials not found; exit 1; }\n` +
        `echo '{"Username":"${registryUser}","Secret":"${registryPassword}"}'\n`,
    );
    chmodSync(helper, 0o755);
    const found = await generate(
      docker('store', { credsStore: 'test', auths: { [registry.host]: {} } }),
      ...pull,
    );
    assert.equal(found.code, 0, found.stderr);
  });

  it('without a credential, for another platform or for a name that is not there are errors that name the image', async () => {
    const none = await generate(at('none'), ...pull);
    assert.equal(none.code, 3);
    assert.match(none.stderr, /image localhost:\d+\/team\/app:1: .*asks for credentials/);
    const auths = docker('auths', { auths: { [registry.host]: { auth } } });
    const platform = await generate(auths, ...pull.slice(0, -1), 'linux/arm64');
    assert.equal(platform.code, 3);
    assert.match(platform.stderr, /has no image for linux\/arm64/);
    assert.doesNotMatch(none.stderr + platform.stderr, new RegExp(registryPassword));
    for (const text of ['x', '{"version": 1, "images": {"a": {"digest": "sha256:1"}}}', '{"version": 2}']) {
      writeFileSync(at('images.lock'), text);
      const broken = await generate(auths, '--images', 'lock');
      assert.equal(broken.code, 1);
      assert.match(broken.stderr, /images\.lock is not a lock of images/);
    }
    writeFileSync(at('images.lock'), '{"version": 1, "images": {}}');
    const missing = await generate(auths, '--images', 'lock');
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /images\.lock does not have image localhost.*[^]*--images pull/);
  });
});
