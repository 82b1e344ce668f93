import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema, type Process, type Spec } from '@kata-agent/protocol/oci';
import { imageProgramFile } from '@kata-agent/tool-bundle/programs';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import {
  imageOf,
  layerOf,
  layerOfTree,
  manifestType,
  type TestImage,
  writeLayout,
} from '../harness/oci-image.js';
import { repository } from '../harness/repository.js';
import { eventually } from '../harness/retry.js';
import { whyWithout } from '../harness/prerequisites.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { guestPull } from '../harness/pulled-image.js';
import { SigstoreServer } from '../harness/sigstore-server.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers('docker-registry', 'skopeo') ?? false;
/** Without keys of skopeo the same images are pulled unsigned. */
const skipSigned = whyWithout('skopeo-sigstore') ?? false;
const skipKeyless = whyWithout('cosign') ?? false;
const typeKey = 'io.kubernetes.cri.container-type';
const nameKey = 'io.kubernetes.cri.image-name';
const toml = JSON.stringify;

/** A directory with the account files of an image. */
function accountsIn(directory: string): string {
  const accounts = join(directory, 'accounts');
  mkdirSync(join(accounts, 'etc'), { recursive: true });
  writeFileSync(join(accounts, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\napp:x:1000:2000::/:/bin/sh\n');
  return accounts;
}

/** The keys of `[image]`, in TOML; undefined: left out. */
type ImageKeys = Readonly<Record<string, string | undefined>>;

describe('images that the agent pulls (R18)', { skip }, () => {
  let directory = '';
  let registry: DockerRegistry;
  const images: Record<string, TestImage> = {};
  let agent: AgentProcess | undefined;
  let server: ChildProcess | undefined;
  let programs: GuestComponentPrograms | undefined;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    registry = await DockerRegistry.start();
    const rootfs = makeRootfs(directory);
    writeFileSync(join(rootfs, 'etc/from-the-image'), 'pulled\n');
    const base = layerOfTree(rootfs);
    const signing = skipSigned === false ? registry.signing('key') : [];
    if (skipSigned === false) registry.signing('stranger');
    const add = (name: string, image: TestImage, sign: readonly string[] = signing): void => {
      images[name] = image;
      writeLayout(join(directory, name), image.manifest, manifestType, [image]);
      registry.push(`oci:${join(directory, name)}:x`, `team/${name}:x`, sign);
    };
    add('app', imageOf({ layers: [base, layerOf('top', 'second layer\n')] }));
    add('base', imageOf({ layers: [base] }));
    const process = {
      Entrypoint: ['cat', '/etc/from-the-image'],
      Cmd: ['/top'],
      Env: ['PATH=/bin'],
      User: 'app',
    };
    const accounts = layerOfTree(accountsIn(directory));
    add(
      'entrypoint',
      imageOf({
        layers: [base, layerOf('top', 'second layer\n'), accounts],
        config: { config: process },
      }),
    );
    add('unsigned', imageOf({ layers: [base] }), []);
    add('large', imageOf({ layers: [layerOf('random', randomBytes(4 << 20))] }));
    add('bomb', imageOf({ layers: [layerOf('zeros', Buffer.alloc(40 << 20))] }));
    writeFileSync(join(directory, 'auth.json'), credentials(registryPassword), { mode: 0o600 });
    for (const name of ['recipient', 'stranger']) {
      execFileSync('openssl', ['genpkey', '-algorithm', 'RSA', '-out', pem(name)], { stdio: 'ignore' });
      execFileSync('openssl', ['pkey', '-in', pem(name), '-pubout', '-out', pem(`${name}-public`)]);
    }
    registry.push(`oci:${join(directory, 'app')}:x`, 'team/encrypted:x', [
      ...signing,
      '--encryption-key',
      `jwe:${pem('recipient-public')}`,
    ]);
  });
  const pem = (name: string): string => join(directory, `${name}.pem`);
  after(async () => {
    await registry.stop();
    rmSync(directory, { recursive: true });
  });
  afterEach(async () => {
    server?.kill('SIGKILL');
    await agent?.dispose();
    programs?.dispose();
    [server, agent, programs] = [undefined, undefined, undefined];
  });

  const credentials = (password: string): string =>
    JSON.stringify({
      auths: { [registry.host]: { auth: Buffer.from(`${registryUser}:${password}`).toString('base64') } },
    });
  const publicKey = (name: string): string => readFileSync(join(registry.directory, `${name}.pub`), 'utf8');
  const signatures = (key: string): string =>
    `[{ scope = ${toml(`${registry.host}/team/*`)}, keys = [${toml(key)}], formats = ["simple-signing"] }]`;

  function configOf(keys: ImageKeys, more = 'guest_components_procs = "none"'): string {
    const all: ImageKeys = {
      puller: '"built-in"',
      registries: toml([`${registry.host}/team/*`]),
      registry_ca: toml(registry.ca),
      credentials: toml(join(directory, 'auth.json')),
      insecure_static_credentials: 'true',
      require_digest: 'true',
      signatures: skipSigned === false ? signatures(publicKey('key')) : undefined,
      max_size: '"64MiB"',
      ...keys,
    };
    const lines = Object.entries(all).flatMap(([key, value]) =>
      value === undefined ? [] : [`${key} = ${value}`],
    );
    return `[agent]\n${more}\n[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n[image]\n${lines.join('\n')}\n`;
  }

  type Client = Awaited<ReturnType<AgentProcess['connect']>>['agent'];

  async function start(config: string, setup = ':', program?: string): Promise<Client> {
    const own = program === undefined ? {} : { program };
    agent = await AgentProcess.start({ config, setup: `ip link set lo up && ${setup}`, ...own });
    server = await registry.serveIn(agent.process.pid ?? 0);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    // Programs of the start, such as one that prints its version, have ended.
    if (programs === undefined) await eventually(() => assert.deepEqual(traces().processes, []));
    return client;
  }

  const digestOf = (name: string): string => images[name]?.manifest.digest ?? '';
  const byDigest = (name: string): string => `${registry.host}/team/${name}@${digestOf(name)}`;

  let count = 0;
  function request(source: string, args: readonly string[]): CreateContainerRequest {
    count += 1;
    const id = `built-in-${process.pid}-${count}`;
    const annotations = { [typeKey]: 'container', [nameKey]: source };
    const rootfs = `/run/kata-containers/${id}/rootfs`;
    const made = create(CreateContainerRequestSchema, containerRequest({ id, rootfs, args, annotations }));
    made.storages.push(guestPull(source, rootfs, annotations));
    return made;
  }

  interface Traces {
    readonly mounts: readonly string[];
    readonly bundles: readonly string[];
    readonly processes: readonly string[];
  }

  /** What a pull could leave: mounts, directories, processes. The sandbox's namespaces stay mounted until it ends; other tests mount, too. */
  function traces(): Traces {
    const pid = agent?.process.pid ?? 0;
    return {
      mounts: readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
        .split('\n')
        .filter((line) => line.includes(' /run/kata-agent') && !line.includes(' - nsfs ')),
      bundles: readdirSync(`/proc/${pid}/root/run/kata-agent/bundles`),
      processes: readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean),
    };
  }

  /** Results of CreateContainer in the audit log. */
  const outcomes = (): readonly {
    readonly result?: { readonly code: string; readonly image?: Readonly<Record<string, unknown>> };
  }[] =>
    readFileSync(agent?.auditLog ?? '', 'utf8')
      .split('\n')
      .filter((each) => each.includes('"CreateContainer"') && each.includes('"result":'))
      .map((each) => JSON.parse(each));

  async function output(client: Client, source: string): Promise<string> {
    const made = request(source, ['cat', '/etc/from-the-image', '/top']);
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    const text = (await readAll(client, 'stdout', made.containerId)).toString();
    await client.removeContainer({ containerId: made.containerId });
    return text;
  }

  it('an image is pulled by digest, verified, unpacked and run, and its removal removes it', async () => {
    const client = await start(configOf({}));
    const before = traces();
    assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
    await eventually(() => assert.deepEqual(traces(), before));
    const recorded = outcomes().find(({ result }) => result?.image !== undefined);
    const { signatures: signed, ...image } = recorded?.result?.image ?? {};
    const expected =
      skipSigned === false
        ? /^sha256:[0-9a-f]{64} \(simple-signing, of the manifest\)$/
        : /^(?:|none required)$/;
    assert.deepEqual(image, { from: 'pulled', digest: digestOf('app'), manifestDigest: digestOf('app') });
    assert.match(String(signed), expected);
    const line = agent?.log.find((each) => each.includes('an image was fetched and verified')) ?? '';
    const logged = JSON.parse(line) as Record<string, string>;
    assert.equal(logged['digest'], digestOf('app'));
    assert.match(logged['signatures'] ?? '', expected);
    assert.ok(!agent?.log.some((each) => each.includes(registryPassword)));
  });

  type Refusal = readonly [
    what: string,
    name: string,
    keys: () => ImageKeys,
    code: string,
    message: RegExp,
    reference?: () => string,
  ];
  const signatureRefusals: readonly Refusal[] = [
    [
      'without a signature',
      'unsigned',
      () => ({}),
      'PERMISSION_DENIED',
      /help: sign .*\(signature-missing\)/,
    ],
    [
      'signed by another key',
      'app',
      () => ({ signatures: signatures(publicKey('stranger')) }),
      'PERMISSION_DENIED',
      /\(signature-invalid\)/,
    ],
  ];
  const refusals: readonly Refusal[] = [
    [
      'that does not exist by its digest',
      'app',
      () => ({}),
      'NOT_FOUND',
      /\(not-found\)/,
      () => `${registry.host}/team/app@sha256:${'0'.repeat(64)}`,
    ],
    [
      'of a repository that is not listed',
      'app',
      () => ({ registries: '["registry.example/**"]' }),
      'PERMISSION_DENIED',
      /help: add a pattern .*\(registry-not-allowed\)/,
    ],
    [
      'named by a tag alone',
      'app',
      () => ({}),
      'PERMISSION_DENIED',
      /help: add @sha256:HEX .*\(digest-required\)/,
      () => `${registry.host}/team/app:x`,
    ],
    [
      'whose registry asks for credentials',
      'app',
      () => ({ credentials: undefined, insecure_static_credentials: undefined }),
      'FAILED_PRECONDITION',
      /\(unauthorized\)/,
    ],
    [
      'whose registry has an unknown CA',
      'app',
      () => ({ registry_ca: toml(new Authority('another CA').pem) }),
      'FAILED_PRECONDITION',
      /\(registry-untrusted\)/,
    ],
    [
      'whose blobs are too large',
      'large',
      () => ({ max_size: '"2MiB"' }),
      'RESOURCE_EXHAUSTED',
      /more than max_size, 2097152.*\(image-too-large\)/,
    ],
    [
      'that is too large when it is unpacked',
      'bomb',
      () => ({ max_size: '"16MiB"' }),
      'RESOURCE_EXHAUSTED',
      /\(limit\)/,
    ],
  ];
  for (const refusal of [...signatureRefusals, ...refusals]) {
    const [what, name, keys, code, message, reference = () => byDigest(name)] = refusal;
    const skipThis = signatureRefusals.includes(refusal) && skipSigned;
    it(`an image ${what} is refused, and nothing is left`, { skip: skipThis }, async () => {
      const client = await start(configOf(keys()));
      const before = traces();
      const answer = await answerOf(client.createContainer(request(reference(), ['true'])));
      assert.deepEqual([answer.code, message.test(answer.message)], [code, true], answer.message);
      await eventually(() => assert.deepEqual(traces(), before));
    });
  }

  it('rules see the image once it is pulled, and a denial removes it', async () => {
    const rule = (name: string, expression: string): string =>
      `[[api.rule]]\nname = "${name}"\nendpoints = ["CreateContainer"]\nexpression = '''${expression}'''\n`;
    const pinned = `image.from == "pulled" && image.digest == "${digestOf('app')}" && image.manifest_digest == image.digest`;
    const declared = 'image.config.entrypoint == ["/a"] && args[0] == "cat"';
    const client = await start(configOf({}) + rule('image', `${pinned} && ${declared}`));
    assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
    const before = traces();
    for (const made of [request(byDigest('app'), ['true']), request(byDigest('base'), ['cat'])]) {
      const answer = await answerOf(client.createContainer(made));
      assert.match(answer.message, /^CreateContainer is refused here: rule "image" refused it/);
      assert.equal(answer.code, 'PERMISSION_DENIED');
      await eventually(() => assert.deepEqual(traces(), before));
    }
    // A root of the host has no image.
    const ofHost = request(byDigest('app'), ['cat']);
    ofHost.storages = [];
    assert.match((await answerOf(client.createContainer(ofHost))).message, /rule "image" refused it/);
    const lines = readFileSync(agent?.auditLog ?? '', 'utf8').split('\n');
    assert.ok(lines.some((line) => line.includes('rule \\"image\\" refused it')));
    // The image that was denied is in the record, too.
    await eventually(() =>
      assert.ok(outcomes().some(({ result }) => result?.image?.['digest'] === digestOf('base'))),
    );
  });

  it('a rule allows exactly the process that the image declares', async () => {
    const rule = `[[api.rule]]\nname = "entrypoint"\nendpoints = ["CreateContainer"]\nexpression = '''runs_image_entrypoint({"env": ["TERM=x"]})'''\n`;
    const client = await start(configOf({}) + rule);
    const declared = ['cat', '/etc/from-the-image', '/top'];
    const made = (change: (spec: Spec, process: Process) => void = () => {}) => {
      const one = request(byDigest('entrypoint'), declared);
      const { OCI: spec } = one;
      if (spec?.Process?.User === undefined) throw new Error('the request has no user');
      Object.assign(spec.Process.User, { UID: 1000, GID: 2000 });
      change(spec, spec.Process);
      return one;
    };
    const run = made((_, { Env }) => Env.push('TERM=x'));
    await client.createContainer(run);
    await client.startContainer({ containerId: run.containerId });
    assert.equal((await readAll(client, 'stdout', run.containerId)).toString(), 'pulled\nsecond layer\n');
    await client.removeContainer({ containerId: run.containerId });
    await eventually(() => assert.deepEqual(traces().processes, []));
    const before = traces();
    const volume = (destination: string) => (spec: Spec) =>
      void spec.Mounts.push(create(MountSchema, { destination, type: 'tmpfs', source: 'tmpfs' }));
    const changes: readonly (readonly [(spec: Spec, process: Process) => void, RegExp])[] = [
      [(_, { Args }) => Args.push('/etc/passwd'), /\(args\[3\] is one too many\)/],
      [(_, { Env }) => Env.push('LD_PRELOAD=/x'), /variable "LD_PRELOAD" is neither/],
      [(_, process) => void (process.Cwd = '/etc'), /the working directory differs/],
      [(_, { User }) => Object.assign(User ?? {}, { UID: 0, GID: 0 }), /the user differs/],
      [volume('/bin'), /the mount at "\/bin" covers "\/bin\/cat"/],
      // The link /bin/cat leads to it.
      [volume('/bin/busybox'), /the mount at "\/bin\/busybox" covers "\/bin\/busybox"/],
      [volume('/usr/lib'), /covers "\/usr\/lib"/],
    ];
    for (const [change, why] of changes) {
      const answer = await answerOf(client.createContainer(made(change)));
      assert.match(answer.message, /^CreateContainer is refused here: rule "entrypoint" refused it/);
      assert.match(answer.message, why);
    }
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('a changed blob is refused', async () => {
    const client = await start(configOf({}));
    const layer = images['app']?.layers[1]?.digest.slice(7) ?? '';
    const file = join(
      registry.directory,
      `data/docker/registry/v2/blobs/sha256/${layer.slice(0, 2)}/${layer}/data`,
    );
    const bytes = readFileSync(file);
    const changed = Buffer.from(bytes);
    changed[20] = (changed[20] ?? 0) ^ 1;
    writeFileSync(file, changed);
    try {
      const before = traces();
      const answer = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
      assert.deepEqual(
        [answer.code, answer.message.includes('(digest-mismatch)')],
        ['PERMISSION_DENIED', true],
      );
      await eventually(() => assert.deepEqual(traces(), before));
    } finally {
      writeFileSync(file, bytes);
    }
  });

  it('a pull ends when its container is removed, and its process is confined', async () => {
    const client = await start(configOf({}));
    await client.createContainer(request(byDigest('app'), ['sleep', '100']));
    const before = traces();
    server?.kill('SIGSTOP');
    const pulling = request(byDigest('app'), ['true']);
    const answer = answerOf(client.createContainer(pulling));
    let status = '';
    await eventually(() => {
      const [child = ''] = traces().processes.filter((pid) => !before.processes.includes(pid));
      status = readFileSync(`/proc/${child}/status`, 'utf8');
      assert.match(status, /^Seccomp_filters:\t2$/m);
    });
    assert.match(status, /^Uid:\t2113929218\t2113929218\t2113929218\t2113929218$/m);
    assert.match(status, /^CapBnd:\t0{16}$/m);
    assert.match(status, /^CapPrm:\t0{16}$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    await client.removeContainer({ containerId: pulling.containerId });
    assert.match((await answer).message, /was cancelled: the container was removed/);
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('two images are pulled at once: others wait, those beyond 16 are refused, and none has a process', async () => {
    const client = await start(configOf({}));
    // The others wait for the first container of a pod.
    await client.createContainer(request(byDigest('base'), ['sleep', '100']));
    const before = traces();
    server?.kill('SIGSTOP');
    const pulls = Array.from({ length: 18 }, () => {
      const made = request(byDigest('base'), ['true']);
      return { id: made.containerId, answer: answerOf(client.createContainer(made)) };
    });
    // Two for each: one pulls, one unpacks.
    const pulling = (): readonly string[] =>
      traces().processes.filter((pid) => !before.processes.includes(pid));
    await eventually(() => assert.equal(pulling().length, 4));
    const beyond = await answerOf(client.createContainer(request(byDigest('base'), ['true'])));
    assert.deepEqual(
      [beyond.code, /2 images are being pulled, and 16 wait/.test(beyond.message)],
      ['RESOURCE_EXHAUSTED', true],
      beyond.message,
    );
    // One that runs and all but two of those that wait.
    for (const { id } of [...pulls.slice(0, 1), ...pulls.slice(4)])
      await client.removeContainer({ containerId: id });
    for (const { answer } of [...pulls.slice(0, 1), ...pulls.slice(4)])
      assert.match((await answer).message, /was cancelled: the container was removed/);
    assert.ok(pulling().length <= 4, pulling().join(' '));
    server?.kill('SIGCONT');
    for (const { id, answer } of pulls.slice(1, 4)) {
      assert.equal((await answer).code, 'OK', (await answer).message);
      await client.removeContainer({ containerId: id });
    }
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('the time of a pull counts while it waits for others', async () => {
    const client = await start(configOf({}, 'guest_components_procs = "none"\nimage_pull_timeout = 3'));
    await client.createContainer(request(byDigest('base'), ['sleep', '100']));
    server?.kill('SIGSTOP');
    const begun = performance.now();
    const answers = await Promise.all(
      [1, 2, 3].map(() => answerOf(client.createContainer(request(byDigest('app'), ['true'])))),
    );
    assert.deepEqual(
      answers.map(({ code }) => code),
      ['DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED'],
    );
    // Not the time of the pull before it and then its own.
    assert.ok(performance.now() - begun < 5_000, `${performance.now() - begun} ms`);
  });

  it('a pull has at most image_pull_timeout', async () => {
    const client = await start(configOf({}, 'guest_components_procs = "none"\nimage_pull_timeout = 2'));
    const before = traces();
    server?.kill('SIGSTOP');
    const answer = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
    assert.deepEqual(
      [answer.code, answer.message.includes('(too-slow)')],
      ['DEADLINE_EXCEEDED', true],
      answer.message,
    );
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('credentials come from the key broker at each pull; without them a pull fails', async () => {
    programs = new GuestComponentPrograms();
    writeFileSync(join(programs.directory, 'resource'), credentials(registryPassword));
    const keys = {
      credentials: '"kbs:///default/credential/registry"',
      insecure_static_credentials: undefined,
    };
    const client = await start(configOf(keys, ''), programs.setup);
    assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
    const [call] = programs.calls('confidential-data-hub');
    assert.deepEqual(call, { method: 'GetResource', ResourcePath: 'kbs:///default/credential/registry' });
    const before = traces();
    programs.behave('confidential-data-hub', 'refuses');
    const refused = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
    assert.match(refused.message, /the resource kbs:.* is not available: .*the key broker refuses/);
    programs.behave('confidential-data-hub', undefined);
    writeFileSync(join(programs.directory, 'resource'), 'not JSON, but secret');
    const malformed = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
    assert.match(malformed.message, /credentials .*\(settings-invalid\)/);
    assert.doesNotMatch(malformed.message, /secret/);
    writeFileSync(join(programs.directory, 'resource'), credentials('wrong'));
    const wrong = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
    assert.match(wrong.message, /\(unauthorized\)/);
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('an encrypted image runs with the key from the key broker, which is asked for this image only', async () => {
    programs = new GuestComponentPrograms();
    const resource = join(programs.directory, 'resource');
    writeFileSync(resource, readFileSync(pem('stranger'), 'utf8') + readFileSync(pem('recipient'), 'utf8'));
    const keys = { decryption_keys: '"kbs:///default/key/image"', require_digest: 'false' };
    const client = await start(configOf(keys, ''), programs.setup);
    assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
    // The data hub writes the file at its first call.
    assert.equal(existsSync(join(programs.directory, 'confidential-data-hub.calls')), false);
    const encrypted = `${registry.host}/team/encrypted:x`;
    assert.equal(await output(client, encrypted), 'pulled\nsecond layer\n');
    assert.deepEqual(programs.calls('confidential-data-hub'), [
      { method: 'GetResource', ResourcePath: 'kbs:///default/key/image' },
    ]);
    // Now the agent unwraps the keys of this manifest only.
    const logged =
      agent?.log.filter((line) => line.includes('an image was fetched and verified')).at(-1) ?? '';
    const { digest } = JSON.parse(logged) as { readonly digest: string };
    assert.equal(await output(client, `${registry.host}/team/encrypted@${digest}`), 'pulled\nsecond layer\n');
    const before = traces();
    const refused = async (message: RegExp): Promise<void> => {
      const answer = await answerOf(client.createContainer(request(encrypted, ['true'])));
      assert.match(answer.message, message);
      assert.doesNotMatch(answer.message, /PRIVATE KEY|secret/);
      await eventually(() => assert.deepEqual(traces(), before));
    };
    writeFileSync(resource, readFileSync(pem('stranger')));
    await refused(/encrypted for other keys than decryption_keys has.*\(decryption-key-missing\)/s);
    writeFileSync(resource, '-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n');
    await refused(/\(settings-invalid\)/);
    writeFileSync(resource, 'no PEM, but secret');
    await refused(/has no private key in PEM/);
    programs.behave('confidential-data-hub', 'refuses');
    await refused(/the resource kbs:.* is not available: .*the key broker refuses/);
  });

  it('a registry is reached through the proxy of the configuration, and not without it', async () => {
    const client = await start(configOf({ proxy: '"http://127.0.0.1:3128"' }));
    const before = traces();
    const refused = await answerOf(client.createContainer(request(byDigest('app'), ['true'])));
    assert.match(refused.message, /the proxy 127\.0\.0\.1:3128 .*\(proxy-failed\)/s);
    await eventually(() => assert.deepEqual(traces(), before));
    const requests = join(directory, 'proxy-requests');
    const proxy = await proxyIn(agent?.process.pid ?? 0, requests);
    try {
      assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
      assert.match(readFileSync(requests, 'utf8'), new RegExp(`^CONNECT ${registry.host} HTTP/1.1`));
    } finally {
      proxy.kill();
    }
  });

  /** Starts a proxy at port 3128 in the network namespace of a process; `requests` is the file for what it is asked. */
  async function proxyIn(pid: number, requests: string): Promise<ChildProcess> {
    const places = { [registry.host]: Number(registry.host.split(':')[1]) };
    const program = `
      import { writeFileSync } from 'node:fs';
      import { ConnectProxy } from ${toml(new URL('../harness/proxy.js', import.meta.url).href)};
      const proxy = await ConnectProxy.start(${JSON.stringify(places)}, 3128);
      setInterval(() => writeFileSync(${toml(requests)}, proxy.requests.join('')), 50);
      console.log('listening');`;
    const child = spawn(
      'nsenter',
      [`--net=/proc/${pid}/ns/net`, process.execPath, '--input-type=module', '-e', program],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    return child;
  }

  it('an encrypted image is refused without decryption_keys', async () => {
    const client = await start(configOf({ require_digest: 'false' }));
    const before = traces();
    const encrypted = `${registry.host}/team/encrypted:x`;
    const answer = await answerOf(client.createContainer(request(encrypted, ['true'])));
    assert.match(answer.message, /\(decryption-key-missing\)/);
    await eventually(() => assert.deepEqual(traces(), before));
  });

  it('a bundle pulls, and does not start without the program that does', async () => {
    const bundle = join(directory, 'bundle');
    const options = ['--compiled', '--out', bundle];
    execFileSync(process.execPath, [join(repository, 'scripts/bundle.mjs'), ...options]);
    const program = join(bundle, 'kata-agent.cjs');
    const client = await start(configOf({}), ':', program);
    assert.equal(await output(client, byDigest('app')), 'pulled\nsecond layer\n');
    rmSync(join(bundle, imageProgramFile));
    const { code, stderr } = await AgentProcess.run({ config: configOf({}), program });
    assert.equal(code, 3);
    assert.match(stderr, /puller is .*built-in.* cannot pull images: .*kata-agent-image\.mjs.* is missing/);
  });

  it('an image signed without a key runs, by the agent and by a bundle', { skip: skipKeyless }, async () => {
    const identity = { issuer: 'https://accounts.example.com', subject: 'https://ci.example/team/app' };
    registry.push(`oci:${join(directory, 'app')}:x`, 'team/keyless:x');
    const name = `${registry.host}/team/keyless@${digestOf('app')}`;
    const sigstore = await SigstoreServer.start(registry.directory, identity);
    const access = ['--registry-cacert', join(registry.directory, 'certs/ca.crt')];
    const user = ['--registry-username', registryUser, '--registry-password', registryPassword];
    try {
      await sigstore.cosign('sign', [...access, ...user, name]);
    } finally {
      await sigstore.stop();
    }
    const trustedRoot = join(directory, 'trusted_root.json');
    writeFileSync(trustedRoot, sigstore.sigstore.trustedRoot());
    const keyless = (subject: string): ImageKeys => {
      const scope = toml(`${registry.host}/team/*`);
      const identities = `[{ issuer = ${toml(identity.issuer)}, subject = ${toml(subject)} }]`;
      return {
        signatures: `[{ scope = ${scope}, trusted_root = ${toml(trustedRoot)}, identities = ${identities}, formats = ["simple-signing"] }]`,
      };
    };
    const bundle = join(directory, 'bundle-keyless');
    execFileSync(process.execPath, [join(repository, 'scripts/bundle.mjs'), '--compiled', '--out', bundle]);
    const bundled = await start(configOf(keyless(identity.subject)), ':', join(bundle, 'kata-agent.cjs'));
    assert.equal(await output(bundled, name), 'pulled\nsecond layer\n');
    server?.kill('SIGKILL');
    await agent?.dispose();
    const client = await start(configOf(keyless(identity.subject)));
    assert.equal(await output(client, name), 'pulled\nsecond layer\n');
    const recorded = outcomes().find(({ result }) => result?.image !== undefined);
    assert.deepEqual(recorded?.result?.image?.['signatures'], [
      `${identity.subject} by ${identity.issuer} (simple-signing, of the manifest)`,
    ]);
    server?.kill('SIGKILL');
    await agent?.dispose();
    const other = await start(configOf(keyless('https://ci.example/team/other')));
    const answer = await answerOf(other.createContainer(request(name, ['true'])));
    assert.match(answer.message, /by another identity or issuer.*\(signature-invalid\)/);
    const { stderr } = await AgentProcess.run({
      config: configOf(keyless(identity.subject)).replace(trustedRoot, join(directory, 'auth.json')),
    });
    assert.match(stderr, /KA1406.*is no Sigstore trusted root/);
  });

  const wrong: readonly (readonly [what: string, keys: () => ImageKeys, code: number, message: RegExp])[] = [
    [
      'a trusted root without logs',
      () => ({
        signatures: `[{ scope = "**", trusted_root = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}', identities = [{ issuer = "a", subject = "b" }], formats = ["bundle"] }]`,
      }),
      3,
      /\[image\]: trusted_root has no certificateAuthorities/,
    ],
    [
      'an invalid key',
      () => ({
        signatures: signatures('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n'),
      }),
      3,
      /\[image\]: a key of signatures is not a public key/,
    ],
    ['an invalid name', () => ({ registries: '["team/*"]' }), 3, /does not begin with a host/],
    [
      'malformed credentials',
      () => ({ credentials: toml(join(directory, 'malformed.json')) }),
      3,
      /\[image\]: credentials/,
    ],
  ];
  for (const [what, keys, code, message] of wrong)
    it(`${what} stops the start`, async () => {
      writeFileSync(join(directory, 'malformed.json'), '{"auths": {"x": {}}}', { mode: 0o600 });
      const ended = await AgentProcess.run({ config: configOf(keys()) });
      assert.deepEqual([ended.code, message.test(ended.stderr)], [code, true], ended.stderr);
    });
});
