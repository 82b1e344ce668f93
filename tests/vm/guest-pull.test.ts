import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { clone } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { namedFiles } from '@kata-agent/tool-guest-image/tree/guest-tree';
import { hostAddress } from '@kata-agent/tool-vm/machine/run';
import { Authority } from '../harness/authority.js';
import { DockerRegistry, registryPassword, registryUser } from '../harness/docker-registry.js';
import { type EvidenceBundle, valuesOfTrusted } from '../harness/evidence-bundle.js';
import { imageOf as ociImageOf, manifestType, type TestImage, writeLayout } from '../harness/oci-image.js';
import { answerOf } from '../harness/sweep.js';
import { whyNoTpm } from '../harness/swtpm.js';
import { tpmEvidence } from '../harness/tpm-evidence.js';
import { usedMemory } from './guest-state.js';
import { hostListener, tenantCaFile, tenantListener, tenantPort } from './listeners.js';
import { boot, imageOf, shell, whyNoMachine } from './machine.js';
import { type GeneratedPod, generatedPod, type PodContainer, writeGuestFiles } from './generated-pod.js';
import { mega, pauseBundle, podLayers } from './pod-content.js';
import { runningGuest } from './running-guest.js';
import { ctl, TenantClient } from './tenant-client.js';

const skip = whyNoMachine('docker-registry', 'skopeo', 'cosign') ?? whyNoTpm() ?? false;
/** Of the registry, in the guest's /etc/hosts. */
const registryName = 'registry.test';
const toml = JSON.stringify;

/** The process that the image of the pod declares. */
const process = {
  Entrypoint: ['/bin/sh', '-c'],
  Cmd: ['echo of the image; exec sleep 100000'],
  Env: ['PATH=/bin'],
  WorkingDir: '/',
};

/** All rules of the profile for an exec. The host's listener does not serve exec at all; the tenant runs any command. */
const execRules = [
  'commands',
  'environment',
  'environment-complete',
  'directories',
  'users',
  'groups',
  'terminals',
  'privileges',
  'capabilities',
  'capability-sets',
  'gained-capabilities',
  'labels',
  'side-channels',
  'process-limits',
].map((name) => `exec-process-${name}`);

/**
 * Adds to a generated configuration what `config generate` does not know. Its list of methods becomes that of the host's listener: in
 * `[api]` it would be the tenant's limit, too.
 */
function completed(generated: string, host: string, accepted: readonly string[]): string {
  const [methods = ''] = /^allowed_endpoints = \[\n(?: .*\n)*\]\n/m.exec(generated) ?? [];
  return `${generated.replace(methods, `profile_except = ${toml(execRules)}\n`)}
[[api.rule]]
name = "image-digest"
endpoints = ["CreateContainer"]
expression = 'image.from == "pause_bundle" || image.digest in ${toml(accepted)}'

[[api.rule]]
name = "image-process"
endpoints = ["CreateContainer"]
expression = 'image.from == "pause_bundle" || args == image.config.entrypoint + image.config.cmd'

[image]
puller = "built-in"
registries = ["${host}/team/*"]
registry_ca = "/etc/kata-agent/registry-ca.pem"
# This guest has no data hub, which would get them from a key broker.
credentials = "/etc/kata-agent/registry-auth.json"
insecure_static_credentials = true
require_digest = true
max_size = "192MiB"
signatures = [
  { scope = "${host}/team/*", keys = ["/etc/kata-agent/cosign.pub"], formats = ["simple-signing"] },
]

${tpmEvidence()}
${hostListener(methods)}
${tenantListener({
  peer: 'cn:tenant',
  rights:
    'allowed_endpoints = ["@exec", "@stdio", "WaitProcess", "SignalProcess"]\nmanagement = ["Describe", "Attest"]\n',
})}`;
}

type Change = (request: CreateContainerRequest) => void;

describe('a confidential guest that pulls its images (R18)', { skip }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-pull-host-'));
  const authority = new Authority('tenants');
  const images: Record<string, TestImage> = {};
  let registry: DockerRegistry | undefined;
  let pod: GeneratedPod;
  let host = '';
  after(async () => {
    await registry?.stop();
    rmSync(directory, { recursive: true });
  });

  async function fillRegistry(): Promise<DockerRegistry> {
    const made = await DockerRegistry.start([registryName]);
    host = `${registryName}:${made.host.split(':')[1] ?? ''}`;
    made.cosignKey('cosign');
    const layers = podLayers(directory);
    const [system = assert.fail()] = layers;
    const add = (name: string, image: TestImage, signed = true): void => {
      images[name] = image;
      writeLayout(join(directory, name), image.manifest, manifestType, [image]);
      made.push(`oci:${join(directory, name)}:x`, `team/${name}:x`);
      if (signed) made.cosignSign('cosign', `team/${name}@${image.manifest.digest}`, `${host}/team/${name}`);
    };
    const declared = { os: 'linux', architecture: 'amd64', config: process };
    const rootfs = (layers: TestImage['layers']): object => ({
      ...declared,
      rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    });
    add('app', ociImageOf({ layers, config: { ...rootfs(layers) } }));
    const small = { layers: [system], config: { ...rootfs([system]) } };
    add('unsigned', ociImageOf(small), false);
    add(
      'other',
      ociImageOf({ ...small, config: { ...small.config, config: { ...process, Cmd: ['another'] } } }),
    );
    add('unlisted', ociImageOf({ ...small, config: { ...small.config, author: 'unlisted' } }));
    return made;
  }

  const digestOf = (name: string): string => images[name]?.manifest.digest ?? '';
  const reference = (name: string): string => `${host}/team/${name}@${digestOf(name)}`;

  const guest = runningGuest('guest-pull', async (own) => {
    registry = await fillRegistry();
    const byName = (name: string, image = reference(name), of = name): PodContainer => ({
      name,
      image,
      config: images[of]?.config.bytes ?? assert.fail(of),
    });
    pod = await generatedPod(directory, [
      ...['app', 'unsigned', 'unlisted'].map((name) => byName(name)),
      byName('other', reference('other'), 'app'),
      byName('missing', `${host}/team/app@sha256:${'0'.repeat(64)}`, 'app'),
      byName('tagged', `${host}/team/app:x`, 'app'),
      byName('elsewhere', `other.test/team/app@${digestOf('app')}`, 'app'),
    ]);
    const config = join(directory, 'config.toml');
    writeFileSync(config, completed(pod.configuration, host, [digestOf('app'), digestOf('other')]));
    const root = join(directory, 'root');
    const auth = Buffer.from(`${registryUser}:${registryPassword}`).toString('base64');
    writeGuestFiles(root, {
      '/etc/kata-agent/registry-ca.pem': registry.ca,
      '/etc/kata-agent/registry-auth.json': JSON.stringify({ auths: { [host]: { auth } } }),
      '/etc/kata-agent/cosign.pub': readFileSync(join(registry.directory, 'cosign.pub'), 'utf8'),
      [tenantCaFile]: authority.pem,
    });
    const files = [
      ...namedFiles(config, root),
      ...pauseBundle(),
      {
        path: '/etc/hosts',
        data: Buffer.from(`127.0.0.1 localhost\n${hostAddress} ${registryName}\n`),
        mode: 0o644,
      },
    ];
    const image = await imageOf('guest-pull', { config, files, with: ['image-pull'] });
    return boot(image, own, {
      memory: 1024,
      tpm: join(own, 'tpm'),
      ports: [tenantPort],
      reach: [Number(host.split(':')[1])],
    });
  });
  const tenant = new TenantClient(guest, authority.client({ commonNames: ['tenant'] }));

  const containerOf = (name: string): CreateContainerRequest => pod.containers.get(name) ?? assert.fail(name);

  /** What a pull could leave. */
  const traces = (): Promise<string> =>
    shell(
      guest.machine,
      'ls /run/kata-agent/bundles /run/kata-containers; grep -v " nsfs " /proc/1/mounts; cat /proc/[0-9]*/status 2>/dev/null | awk \'/^Uid/ && $2 > 2000000000\'; true',
    );

  async function leavesNothing(before: string): Promise<void> {
    for (let look = 0; look < 50 && (await traces()) !== before; look += 1) await delay(100);
    assert.equal(await traces(), before);
  }

  it('has no shared directory and no disk, and runs the pause container of its own image', async () => {
    assert.equal(
      (await shell(guest.machine, 'ls /sys/block; grep -c virtiofs /proc/mounts || true')).trim(),
      '0',
    );
    await guest.agent.createSandbox(pod.sandbox);
    for (const copy of pod.copies) await guest.agent.copyFile(copy);
    const { pause } = pod;
    await guest.agent.createContainer(pause);
    await guest.agent.startContainer({ containerId: pause.containerId });
    const command = await shell(guest.machine, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '");
    assert.match(command, /\/bin\/busybox sleep 123456/);
  });

  const cases: readonly (readonly [what: string, name: string, message: RegExp, change?: Change])[] = [
    ['that the registry does not have by its digest', 'missing', /\(not-found\)/],
    ['without a signature', 'unsigned', /help: sign .*\(signature-missing\)/],
    ['named by a tag alone', 'tagged', /\(digest-required\)/],
    ['of another registry', 'elsewhere', /\(registry-not-allowed\)/],
    ['whose digest no rule lists', 'unlisted', /rule "image-digest" refused it/],
    ['that declares another process', 'other', /rule "image-process" refused it/],
    [
      'with another command than the workload’s',
      'app',
      /rule "create-container-commands" refused it/,
      ({ OCI }) => OCI?.Process?.Args.push('and the host’s'),
    ],
    [
      'that is not the workload’s',
      'app',
      /rule "create-container-images" refused it/,
      ({ storages: [storage] }) => {
        if (storage !== undefined) storage.source = reference('other');
      },
    ],
  ];
  for (const [what, name, message, change] of cases)
    it(`refuses an image ${what}, and nothing is left`, async (t) => {
      const before = await traces();
      const request = clone(CreateContainerRequestSchema, containerOf(name));
      change?.(request);
      const began = performance.now();
      const answer = await answerOf(guest.agent.createContainer(request));
      t.diagnostic(`refused after ${Math.round(performance.now() - began)} ms: ${answer.message}`);
      assert.match(answer.message, message);
      await leavesNothing(before);
    });

  it('refuses a blob that the registry has changed, and nothing is left', async () => {
    const digest = images['app']?.layers[0]?.digest.slice(7) ?? '';
    const file = join(
      registry?.directory ?? '',
      `data/docker/registry/v2/blobs/sha256/${digest.slice(0, 2)}/${digest}/data`,
    );
    const bytes = readFileSync(file);
    const changed = Buffer.from(bytes);
    changed[1000] = (changed[1000] ?? 0) ^ 1;
    const before = await traces();
    writeFileSync(file, changed);
    try {
      const answer = await answerOf(guest.agent.createContainer(containerOf('app')));
      assert.match(answer.message, /\(digest-mismatch\)/);
    } finally {
      writeFileSync(file, bytes);
    }
    await leavesNothing(before);
  });

  it('pulls the image by its digest, verifies it and runs it', async (t) => {
    const before = await available();
    const { held } = await usedMemory(guest.machine);
    await startSampling();
    const app = containerOf('app');
    const began = performance.now();
    await guest.agent.createContainer(app);
    const created = performance.now();
    await guest.agent.startContainer({ containerId: app.containerId });
    const { min, pull, unpack } = await samples();
    const bytes = images['app']?.layers.reduce((sum, layer) => sum + layer.bytes.length, 0) ?? 0;
    t.diagnostic(`image: ${mega(bytes)} MB compressed, in ${images['app']?.layers.length} layers`);
    t.diagnostic(`CreateContainer with the pull: ${Math.round(created - began)} ms; ${loggedTimes()}`);
    t.diagnostic(
      `memory of the guest: ${mega(before - min)} MB at the peak, ${mega(before - (await available()))} MB afterwards`,
    );
    t.diagnostic(
      `afterwards ${mega((await usedMemory(guest.machine)).held - held)} MB more that the guest cannot free`,
    );
    t.diagnostic(
      `peak of the process that pulls: ${mega(pull)} MB, of the one that unpacks: ${mega(unpack)} MB`,
    );
    const mounted = await shell(
      guest.machine,
      `df -m | grep bundles/${app.containerId}/rootfs; ls /sys/block`,
    );
    t.diagnostic(`root of the container, tmpfs: ${mounted.trim().split(/\s+/)[2]} MiB`);
    assert.match(mounted, /rootfs\s*$/, 'no disk');
    assert.match(
      fetched(),
      new RegExp(`"digest":"${digestOf('app')}".*"signatures":"sha256:[0-9a-f]{64} \\(simple-signing`),
    );
    assert.ok(!guest.machine.lines.some((line) => line.includes(registryPassword)));
  });

  const fetched = (): string =>
    guest.machine.lines.findLast((line) => line.includes('an image was fetched and verified')) ?? '';

  function loggedTimes(): string {
    const unpacked = guest.machine.lines.findLast((line) => line.includes('an image was unpacked')) ?? '';
    const ms = (line: string): string => /"ms":"?(\d+)/.exec(line)?.[1] ?? '?';
    return `fetched and verified in ${ms(fetched())} ms, unpacked in ${ms(unpacked)} ms`;
  }

  /** In bytes. */
  async function available(): Promise<number> {
    return 1024 * Number(/(\d+) kB/.exec(await shell(guest.machine, 'grep MemAvailable /proc/meminfo'))?.[1]);
  }

  async function startSampling(): Promise<void> {
    const users =
      "awk '/^Uid/ { user = $2 } /^VmHWM/ && user > 2000000000 { print user, $2 }' /proc/[0-9]*/status 2>/dev/null";
    const loop = `while test -e /run/sampling; do grep MemAvailable /proc/meminfo; ${users}; sleep 0.3; done`;
    await shell(guest.machine, `touch /run/sampling; (${loop}) </dev/null >/run/samples 2>/dev/null & true`);
  }

  /** In bytes: the least available memory, and the peaks of the processes. */
  async function samples(): Promise<{
    readonly min: number;
    readonly pull: number;
    readonly unpack: number;
  }> {
    const lines = (await shell(guest.machine, 'rm /run/sampling; sleep 1; cat /run/samples')).split('\n');
    const of = (pattern: RegExp): readonly number[] =>
      lines.flatMap((line) => {
        const found = pattern.exec(line)?.[1];
        return found === undefined ? [] : [1024 * Number(found)];
      });
    return {
      min: Math.min(...of(/^MemAvailable: +(\d+)/)),
      pull: Math.max(0, ...of(/^2113929218 (\d+)/)),
      unpack: Math.max(0, ...of(/^2113929217 (\d+)/)),
    };
  }

  it('is attested by its tenant, who then runs a command in the container', async (t) => {
    const bundle = join(directory, 'bundle.json');
    const pin = await tenant.pin();
    const attested = await tenant.run(['attest', '--pin', pin, '--out', bundle, '--format', 'json']);
    assert.equal(attested.code, 0, attested.stderr);
    const { nonce, channel } = JSON.parse(attested.stdout) as { nonce: string; channel: string };
    const root = join(directory, 'root');
    const digest = await ctl(
      ['config', 'digest', join(directory, 'config.toml')],
      ['--root', root, '--format', 'json'],
    );
    const { configuration } = JSON.parse(digest.stdout) as { configuration: { asIs: { digest: string } } };
    const values = join(directory, 'values.json');
    const trusted = JSON.parse(readFileSync(bundle, 'utf8')) as EvidenceBundle;
    const accept = (configured: string): void =>
      writeFileSync(values, JSON.stringify(valuesOfTrusted(trusted, configured)));
    accept(configuration.asIs.digest);
    // The files that the configuration names are part of its digest.
    const verified = await ctl(
      ['evidence', 'verify', bundle, '--reference', values, '--config', join(directory, 'config.toml')],
      ['--root', root, '--nonce', nonce, '--channel', channel, '--pin', pin],
    );
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const began = performance.now();
    const container = containerOf('app').containerId;
    const exec = await tenant.run(
      ['exec', '--attested', values, container].concat('--', 'sh', '-c', 'cat /data-3/name; exit 3'),
    );
    t.diagnostic(`exec --attested: ${Math.round(performance.now() - began)} ms, with a new connection`);
    assert.deepEqual(exec, { code: 3, stdout: 'data 3\n', stderr: '' });
    accept(`sha256:${'00'.repeat(32)}`);
    const other = await tenant.run(['exec', '--attested', values, container, '--', 'true']);
    // As of docker: the program was not started.
    assert.equal(other.code, 125, other.stderr);
    assert.match(other.stderr, /claims\.configuration/);
  });

  it('nothing of the image is left when the container is removed', async () => {
    const app = containerOf('app');
    await guest.agent.signalProcess({ containerId: app.containerId, execId: app.containerId, signal: 9 });
    await guest.agent.removeContainer({ containerId: app.containerId });
    assert.doesNotMatch(await traces(), new RegExp(app.containerId));
  });
});
