import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createServer } from 'node:tls';
import { Authority } from '../harness/authority.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import {
  architecture,
  imageOf,
  indexOf,
  indexType,
  manifestType,
  writeLayout,
} from '../harness/oci-image.js';
import { ConnectProxy } from '../harness/proxy.js';
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
    registry = await DockerRegistry.start(['registry.example']);
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
    return runWith({}, dockerConfig, ...args);
  }

  function runWith(
    environment: Readonly<Record<string, string>>,
    dockerConfig: string,
    ...args: readonly string[]
  ): Promise<Ended> {
    const env = {
      ...process.env,
      ...environment,
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
    assert.match(pulled.stdout, /^# containers\[0\]\.image\nargs = \["\/a".*\]$/m);
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

  it('are read through the proxy of the environment, with its credential, unless NO_PROXY has the registry', async () => {
    const place = 'registry.example:5000';
    const proxy = await ConnectProxy.start({ [place]: Number(registry.host.split(':')[1]) });
    try {
      const auths = docker('proxied', { auths: { [place]: { auth }, [registry.host]: { auth } } });
      const text = readFileSync(at('pod.yaml'), 'utf8');
      writeFileSync(at('proxied.yaml'), text.replace(registry.host, place));
      const pin = (pod: string, environment: Readonly<Record<string, string>>): Promise<Ended> =>
        runWith(environment, auths, 'config', 'pin', '-f', at(pod), ...pull, '--lock', at('proxy.lock'));
      const url = `http://me:pr%40xy@127.0.0.1:${proxy.port}`;
      const found = await pin('proxied.yaml', { HTTPS_PROXY: url, NO_PROXY: '.registry.example,10.0.0.0/8' });
      assert.equal(found.code, 0, found.stderr);
      assert.ok(found.stdout.includes(`${place}/team/app:1@${index.digest}`));
      const authority = new Authority('proxy CA');
      writeFileSync(at('proxy-ca.pem'), authority.pem);
      const secure = createServer(authority.server(['localhost']), (client) => {
        client.pipe(connect(proxy.port, '127.0.0.1').on('error', () => client.destroy())).pipe(client);
        client.on('error', () => undefined);
      }).listen(0);
      await once(secure, 'listening');
      const by = { HTTPS_PROXY: `https://localhost:${(secure.address() as AddressInfo).port}` };
      const tls = await pin('proxied.yaml', { ...by, NODE_EXTRA_CA_CERTS: at('proxy-ca.pem') });
      assert.deepEqual([tls.code, tls.stdout], [0, found.stdout], tls.stderr);
      const untrusted = await pin('proxied.yaml', by);
      assert.equal(untrusted.code, 3);
      assert.match(untrusted.stderr, /the proxy localhost:\d+ cannot be used: \w+/);
      secure.close();
      const [request = ''] = proxy.requests;
      assert.match(request, /^CONNECT registry\.example:5000 HTTP\/1\.1\r\n/);
      assert.ok(
        request.includes(`Proxy-Authorization: Basic ${Buffer.from('me:pr@xy').toString('base64')}\r\n`),
      );
      assert.doesNotMatch(proxy.requests.join(''), /\r\nAuthorization/i);
      const before = proxy.requests.length;
      const itself = await pin('pod.yaml', { https_proxy: url });
      assert.equal(itself.code, 0, itself.stderr);
      const direct = await pin('proxied.yaml', { https_proxy: url, no_proxy: 'registry.example:5000' });
      assert.equal(direct.code, 3);
      assert.match(direct.stderr, /registry\.example:5000 cannot be reached/);
      assert.equal(proxy.requests.length, before);
      proxy.behaviour = (client) => client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      const refused = await pin('proxied.yaml', { https_proxy: url });
      assert.equal(refused.code, 3);
      assert.match(refused.stderr, /the proxy 127\.0\.0\.1:\d+ answered 407/);
      assert.doesNotMatch(refused.stderr, /pr@xy|pr%40xy/);
      const wrong = await pin('proxied.yaml', { https_proxy: 'socks5://127.0.0.1:1' });
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /HTTPS_PROXY is not the URL of an HTTP proxy/);
    } finally {
      proxy.close();
    }
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
    writeLayout(at('single'), other.manifest, manifestType, [other]);
    registry.push(`oci:${at('single')}:x`, 'team/single:1');
    const pod = readFileSync(at('pod.yaml'), 'utf8').replace('team/app', 'team/single');
    writeFileSync(at('single.yaml'), pod);
    const lock = ['--lock', at('single.lock')];
    const single = await run(auths, 'config', 'pin', '-f', at('single.yaml'), ...pull, ...lock);
    assert.deepEqual([single.code, single.stdout, existsSync(at('single.lock'))], [3, '', false]);
    assert.ok(
      single.stderr.includes(`it is for linux/s390x, not for linux/${architecture}\n`),
      single.stderr,
    );
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
