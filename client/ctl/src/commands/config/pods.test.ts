import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Ended, runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-'));
after(() => rmSync(directory, { recursive: true }));

const workloads = fileURLToPath(new URL('../../../../../examples/workloads/', import.meta.url));
const pod = ['--pod', `${workloads}postgres.yaml`];
const image = ['--image-config', `docker.io/library/postgres:17=${workloads}images/postgres.json`];

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function check(configuration: string, ...more: readonly string[]): Ended {
  return runBinary(['config', 'check', configuration, ...pod, ...image, ...more]);
}

const generated = runBinary(['config', 'generate', ...pod, ...image]);
const configuration = file('generated.toml', generated.stdout);

test('config check finds the output of config generate sufficient', () => {
  assert.equal(generated.code, 0, generated.stderr);
  assert.match(
    generated.stderr,
    /^kata-agent-ctl: note: docker\.io\/library\/postgres:17 has a tag and no digest: .*\nkata-agent-ctl: note: rules constrain \d+ of \d+ facts .*\nkata-agent-ctl: note: not constrained: container postgres, env POSTGRES_PASSWORD: Secret postgres, key password\n$/,
  );
  const { code, stdout, stderr } = check(configuration);
  assert.equal(code, 0, stdout);
  assert.equal(stderr, '');
  assert.match(stdout, /^StatefulSet postgres \(.*postgres\.yaml:2:1\): sufficient$/m);
});

test('the example of a generated configuration is up to date', () => {
  assert.equal(readFileSync(`${workloads}postgres.toml`, 'utf8'), generated.stdout);
});

test('a missing line is reported with its position and a fix, and exits with 4', () => {
  const lines = generated.stdout.split('\n');
  const endpoint = file('endpoint.toml', lines.filter((line) => !line.includes('"GetOOMEvent"')).join('\n'));
  const { code, stdout } = check(endpoint);
  assert.equal(code, 4);
  assert.match(stdout, /not sufficient\n  with runtime-rs and guests with a shared filesystem \(--runtime/);
  assert.match(stdout, /endpoint\.toml:\d+: add "GetOOMEvent" to allowed_endpoints/);
  const variable = file(
    'variable.toml',
    lines.filter((line) => !line.startsWith('any_env = ["POSTGRES_PASSWORD"]')).join('\n'),
  );
  const json = check(variable, '--format', 'json');
  assert.equal(json.code, 4);
  const [report] = (
    JSON.parse(json.stdout) as { workloads: { sufficient: boolean; changes: { text: string }[] }[] }
  ).workloads;
  assert.equal(report?.sufficient, false);
  assert.match(
    report?.changes[0]?.text ?? '',
    /\[api\.values\], which rule "create-container-environment" of the profile reads, to allow the variable "POSTGRES_PASSWORD"/,
  );
});

test('without an image configuration, output and standard error list what is not constrained', () => {
  const { code, stdout, stderr } = runBinary(['config', 'generate', ...pod]);
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^# - container postgres, env, .*command, args, workingDir.*: the configuration of image/m,
  );
  assert.match(stderr, /note: image docker\.io\/library\/postgres:17 has no configuration/);
  assert.match(stderr, /note: not constrained: container postgres, env, .*command, args/);
  const json = runBinary(['config', 'generate', ...pod, '--format', 'json']);
  assert.equal(json.stderr, '');
  const value = JSON.parse(json.stdout) as { configuration: string; notes: string[] };
  assert.equal(value.configuration, stdout);
  assert.ok(value.notes.length > 0);
});

test('with --strict, what is not constrained costs the exit code, and only that', () => {
  const withEnv = (env: string): readonly string[] => [
    'config',
    'generate',
    '--strict',
    '--pod',
    file(
      'strict.yaml',
      `kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: app, image: i, ${env} }] }\n`,
    ),
    '--image-config',
    `i=${file('strict.json', '{"config": {}}')}`,
  ];
  const closed = runBinary(withEnv('env: [{ name: A, value: x }], command: [a, "$(A)"]'));
  assert.equal(closed.code, 0, closed.stderr);
  const secret = 'env: [{ name: TOKEN, valueFrom: { secretKeyRef: { name: x, key: k } } }]';
  const open = runBinary(withEnv(`${secret}, command: [a, "t=$(TOKEN)"], args: [b, "$(TOKEN)"]`));
  assert.equal(open.code, 4);
  assert.match(open.stderr, /note: not constrained: container app, env TOKEN: Secret x, key k\n/);
  assert.match(
    open.stderr,
    /note: not constrained: container app, command\[1\], args\[1\]: \$\(TOKEN\) from Secret x, key k\n/,
  );
  assert.match(open.stdout, /args == \["a", "t=" \+ env\["TOKEN"\], "b", env\["TOKEN"\]\]/);
});

test('the notes for a pod with many images are short', () => {
  const containers = Array.from(
    { length: 30 },
    (_, index) => `    - { name: c${index}, image: "i${index}:1" }`,
  );
  const many = file('many.yaml', ['kind: Pod', 'spec:', '  containers:', ...containers].join('\n'));
  const { code, stderr } = runBinary(['config', 'generate', '--pod', many]);
  assert.equal(code, 0);
  assert.match(
    stderr,
    /note: 30 images without a configuration: i0:1, i1:1, i2:1, i3:1, and 26 more: .*for each$/m,
  );
  assert.ok(
    stderr.split('\n').every((line) => line.length < 400),
    stderr,
  );
});

test("a value that exceeds a rule's limits is an error", () => {
  const value = 'x'.repeat(20_000);
  const long = file(
    'long.yaml',
    `kind: Pod\nspec:\n  containers: [{ name: c, image: i, env: [{ name: LONG, value: ${value} }] }]\n`,
  );
  const known = file('image.json', '{"config":{"Cmd":["/run"]}}');
  const argv = ['config', 'generate', '--pod', long, '--image-config', `i=${known}`];
  const { code, stdout, stderr } = runBinary(argv);
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /CreateContainer, environment: a list of .* is too long for one rule/);
});

test('invalid files and wrong use have different exit codes', () => {
  const wrong = file('wrong.yaml', 'kind: Pod\nspec:\n  containers: 7\n');
  const ends = (...argv: readonly string[]): readonly [number | null, string] => {
    const { code, stderr } = runBinary(['config', ...argv]);
    return [code, stderr];
  };
  const [code, stderr] = ends('generate', '--pod', wrong);
  assert.equal(code, 1);
  assert.match(stderr, /wrong\.yaml:3:15: spec\.containers must be a list/);
  assert.equal(ends('generate')[0], 2);
  assert.equal(ends('generate', '--pod', join(directory, 'none.yaml'))[0], 3);
  assert.equal(ends('generate', ...pod, '--image-config', 'nothing')[0], 2);
  assert.match(ends('generate', ...pod, '--image-config', `i=${wrong}`)[1], /not an OCI image configuration/);
  assert.equal(ends('generate', ...pod, '--runtime', 'rust')[0], 2);
  assert.equal(ends('check', configuration, '--pod', wrong)[0], 1);
});

test('config preflight prints how far pods start, and exits with 4 if they do not', () => {
  const example = (name: string): string =>
    fileURLToPath(new URL(`../../../../../examples/${name}.toml`, import.meta.url));
  const confidential = runBinary(['config', 'preflight', example('confidential')]);
  assert.equal(confidential.code, 0, confidential.stderr);
  assert.match(confidential.stdout, /runtime-rs: pods run\n/);
  assert.match(confidential.stdout, /kubectl logs +without ReadStdout, ReadStderr\n/);
  const observe = runBinary(['config', 'preflight', example('observe')]);
  assert.equal(observe.code, 4);
  assert.match(observe.stdout, /pods stop at UpdateInterface \(sandbox\)/);
  const value = JSON.parse(runBinary(['config', 'preflight', configuration, '--format', 'json']).stdout) as {
    underRules: Record<string, string[]>;
  };
  assert.ok(value.underRules['CreateContainer']?.includes('create-container-mounts'));
});

test('without a puller a guest that has to pull is an error with a remedy, which helps', () => {
  for (const setup of [
    ['--guest', 'confidential'],
    ['--runtime', 'remote'],
  ]) {
    const made = runBinary(['config', 'generate', ...pod, ...image, ...setup]);
    assert.equal(made.code, 4);
    assert.match(
      made.stderr,
      /note: refused with this configuration: storage driver image_guest_pull \(.*puller is "none"; help: generate the configuration with --puller built-in, or write \[image\] puller = "built-in" or "cdh"\n/,
    );
    assert.doesNotMatch(made.stderr, /refused with any configuration/);
    const { code, stdout } = check(file('confidential.toml', made.stdout), ...setup);
    assert.equal(code, 4);
    assert.match(
      stdout,
      /not sufficient\n.*\n  refused with this configuration\n    storage driver image_guest_pull .*; help: generate/,
    );
    const pulling = file('pulling.toml', `${made.stdout}\n[image]\npuller = "cdh"\n`);
    assert.equal(check(pulling, ...setup).code, 0);
  }
});

test('with images on disks a container without a disk is an error with a remedy, which helps', () => {
  const store = '[image]\npuller = "built-in"\nstore = "encrypted-disk"\n[api]\nallowed_endpoints = ["*"]\n';
  const stored = file('stored.toml', store);
  const workload = (name: string, more: string): string =>
    file(
      name,
      'kind: Pod\nmetadata: { name: p }\nspec:\n  automountServiceAccountToken: false\n  containers:\n' +
        `    - { name: c, image: i, command: [a]${more} }\n`,
    );
  const checked = (
    pods: string,
    config: string = stored,
  ): { readonly code: number | null; readonly stdout: string } =>
    runBinary(['config', 'check', config, '--pod', pods, '--guest', 'confidential']);
  const { code, stdout } = checked(workload('without-disk.yaml', ''));
  assert.equal(code, 4);
  assert.match(
    stdout,
    /storage driver image_guest_pull .*no disk at \/dev\/trusted_store for its image; help: add a volume .* or write store = "memory"/,
  );
  const disk = ', volumeDevices: [{ name: s, devicePath: /dev/trusted_store }]';
  const served = checked(workload('with-disk.yaml', disk));
  assert.doesNotMatch(served.stdout, /trusted_store for its image/, served.stdout + served.stdout);
  // The data hub has one disk for all images: that of the first container.
  const second = (first: string, last: string): string =>
    workload('two.yaml', `${first} }\n    - { name: d, image: j, command: [a]${last}`);
  const shared = file('shared.toml', store.replace('"built-in"', '"cdh"'));
  const missing = /storage driver image_guest_pull .*no disk at \/dev\/trusted_store/;
  assert.match(checked(second(disk, '')).stdout, missing);
  assert.doesNotMatch(checked(second(disk, ''), shared).stdout, missing);
  assert.match(checked(second('', disk), shared).stdout, missing);
});

test('what the agent refuses with any configuration is named, and exits with 4', () => {
  const plugin = file(
    'plugin.yaml',
    'kind: Pod\nmetadata: { name: p }\nspec:\n  hostNetwork: true\n  containers:\n' +
      '    - { name: c, image: i, command: [a], resources: { limits: { intel.com/sriov: 1, cpu: 1 } } }\n',
  );
  const { code: exit, stderr } = runBinary(['config', 'generate', '--pod', plugin]);
  assert.equal(exit, 4);
  assert.match(stderr, /pod field hostNetwork \(spec\.hostNetwork\): Kata's runtimes do not run pods in/);
  assert.match(
    stderr,
    /pod field intel\.com\/sriov \(spec\.containers\[0\]\.resources\.limits\): the device plugin/,
  );
  const open = file('open.toml', '[api]\nallowed_endpoints = ["*"]\n');
  const remote = runBinary(['config', 'preflight', open, '--runtime', 'remote']);
  assert.equal(remote.code, 4);
  assert.match(
    remote.stdout,
    /peer pods: pods stop at CreateContainer \(create\)\n  storage driver image_guest_pull/,
  );
});

test('no pod is called sufficient whose containers the agent refuses, or whose requests are not known', () => {
  const open = file('served.toml', '[api]\nallowed_endpoints = ["*"]\n');
  const reviewed = (fields: string, inContainer = ''): readonly [number | null, string] => {
    const container = `{ name: c, image: i, command: [a]${inContainer} }`;
    const text = `kind: Pod\nmetadata: { name: p }\nspec:\n${fields}  containers: [${container}]\n`;
    const { code, stdout } = runBinary(['config', 'check', open, '--pod', file('field.yaml', text)]);
    return [code, stdout];
  };
  assert.equal(reviewed('')[0], 0);
  const refused: readonly (readonly [fields: string, inContainer: string, expectedText: RegExp])[] = [
    ['  hostPID: true\n', '', /sandbox_pidns/],
    ['  shareProcessNamespace: true\n', '', /sandbox_pidns/],
    ['  hostIPC: true\n', '', /host-namespaces/],
    ['  hostUsers: false\n', '', /user-namespace/],
    ['', ', securityContext: { procMount: Unmasked }', /unmasked-paths/],
    ['  hostNetwork: true\n', '', /pod field hostNetwork/],
    ['  os: { name: windows }\n', '', /pod field os/],
    ['  ephemeralContainers: [{ name: d, image: i }]\n', '', /pod field ephemeralContainers/],
    ['  resourceClaims: [{ name: gpu }]\n', '', /pod field resourceClaims/],
    ['  volumes: [{ name: v, emptyDir: { medium: HugePages } }]\n', '', /pod field medium/],
    ['', ', resources: { limits: { intel.com/sriov: 1 } }', /pod field intel\.com\/sriov/],
  ];
  for (const [fields, inContainer, expectedText] of refused) {
    const [code, stdout] = reviewed(fields, inContainer);
    assert.equal(code, 4, `${fields}${inContainer}: ${stdout}`);
    assert.match(stdout, expectedText);
  }
});

test('check and generate note that GPUs attached at boot are not expected with runtime-rs', () => {
  const gpus = '[{ name: c, image: i, command: [a], resources: { limits: { nvidia.com/pgpu: 1 } } }]';
  const served = file('served.toml', '[api]\nallowed_endpoints = ["*"]\n');
  const pod = file('gpus.yaml', `kind: Pod\nmetadata: { name: p }\nspec:\n  containers: ${gpus}\n`);
  for (const [runtime, noted] of [
    ['rs', true],
    ['go', false],
  ] as const) {
    const check = runBinary(['config', 'check', served, '--pod', pod, '--runtime', runtime]).stdout;
    const generate = runBinary(['config', 'generate', '--pod', pod, '--runtime', runtime]).stderr;
    for (const text of [check, generate]) assert.equal(/cold_plug_vfio/.test(text), noted, text);
  }
});

test('a configuration for peer pods has the network namespace of the forwarder', () => {
  const peer = [...pod, ...image, '--runtime', 'remote'];
  const { stdout } = runBinary(['config', 'generate', ...peer]);
  assert.match(stdout, /^network_namespaces = \[\n  "\/run\/netns\/podns",/m);
  assert.match(stdout, /n\.Type == "network" \? n\.Path == "\/run\/netns\/podns" :/);
  assert.doesNotMatch(stdout, /UpdateInterface|OnlineCPUMem|encryption_key/);
  const { refused, unbuilt } = (
    JSON.parse(
      runBinary(['config', 'check', file('peer.toml', stdout), ...peer, '--format', 'json']).stdout,
    ) as { workloads: { refused: unknown[]; unbuilt: { name: string }[] }[] }
  ).workloads[0] ?? { refused: [0], unbuilt: [] };
  assert.deepEqual(refused, []);
  assert.deepEqual([...new Set(unbuilt.map(({ name }) => name))], ['image_guest_pull']);
});

test('binary and endless files are rejected', () => {
  const bytes = join(directory, 'bytes.yaml');
  writeFileSync(bytes, Buffer.from([0x6b, 0xff, 0xfe, 0x0a]));
  for (const [path, expected, expectedText] of [
    [bytes, 1, /is not a text file: it is not UTF-8/],
    ['/dev/zero', 1, /is larger than 16 MiB/],
    [join(directory, 'none.yaml'), 3, /no such file/],
  ] as const) {
    const { code, stderr } = runBinary(['config', 'generate', '--pod', path]);
    assert.equal(code, expected, stderr);
    assert.match(stderr, expectedText);
  }
});

test('layers are expected of runtime-rs only, and a note names roots that the host can choose', () => {
  const layered = [...pod, ...image, '--snapshotter', 'erofs'];
  const go = runBinary(['config', 'generate', ...layered, '--runtime', 'go']);
  assert.equal(go.code, 2);
  assert.match(go.stderr, /--snapshotter erofs: only runtime-rs passes EROFS layers/);
  const guest = ['--guest', 'confidential'];
  const { code, stdout, stderr } = runBinary(['config', 'generate', ...layered, ...guest]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /postgres:17: the root file system is not verified; add the dm-verity root hashes/);
  const generatedFile = file('layers.toml', stdout);
  assert.equal(check(generatedFile, '--snapshotter', 'erofs', ...guest).code, 0);
  const pulled = check(generatedFile, ...guest);
  assert.equal(pulled.code, 4);
  assert.match(pulled.stdout, /storage driver image_guest_pull/);
  const layersOf = (...more: readonly string[]): number | null =>
    runBinary(['config', 'preflight', generatedFile, '--runtime', 'rs', ...guest, ...more]).code;
  assert.deepEqual([layersOf('--snapshotter', 'erofs'), layersOf()], [0, 4]);
});

/** An OCI layout with an image of a platform in an index; returns the digest of the index. */
function layoutOf(
  name: string,
  config: object,
  platform: object = { os: 'linux', architecture: 'amd64' },
): string {
  const blobs = join(directory, name, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const stored = (type: string, content: object): { digest: string; mediaType: string; size: number } => {
    const text = JSON.stringify(content);
    const hex = createHash('sha256').update(text).digest('hex');
    writeFileSync(join(blobs, hex), text);
    const mediaType = `application/vnd.oci.image.${type}`;
    return { digest: `sha256:${hex}`, mediaType, size: text.length };
  };
  const layer = stored('layer.v1.tar', {});
  const manifest = stored('manifest.v1+json', {
    schemaVersion: 2,
    config: stored('config.v1+json', { config }),
    layers: [layer],
  });
  return stored('index.v1+json', { schemaVersion: 2, manifests: [{ ...manifest, platform }] }).digest;
}

const podOf = (reference: string): string =>
  file(
    'pulled.yaml',
    `kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: c, image: "${reference}", args: [x] }] }\n`,
  );
const pulling = ['--guest', 'confidential', '--puller', 'built-in'];

test('an image from a layout is pinned with its process, and checked by the same layout', () => {
  const digest = layoutOf('layout', { Entrypoint: ['/app'], User: 'app', WorkingDir: '/srv' });
  const reference = `registry.example/app@${digest}`;
  const layout = ['--image-layout', `${reference}=${join(directory, 'layout')}`];
  const made = runBinary(['config', 'generate', '--pod', podOf(reference), ...layout, ...pulling]);
  assert.equal(made.code, 0, made.stderr);
  assert.doesNotMatch(made.stderr, /refused with any configuration/);
  assert.match(made.stdout, /runs_image_entrypoint\(\{\n +"args": \["x"\]/);
  assert.match(made.stdout, /guests without a shared filesystem, which pull images themselves/);
  // The image's user is a name, and the rule about its process compares it.
  assert.doesNotMatch(made.stderr, /not constrained/);
  const toml = file('pulled.toml', made.stdout);
  const checked = (text: string, ...more: readonly string[]) =>
    runBinary([
      'config',
      'check',
      file('checked.toml', text),
      '--pod',
      podOf(reference),
      '--guest',
      'confidential',
      ...more,
    ]);
  const whole = checked(readFileSync(toml, 'utf8'), ...layout);
  assert.equal(whole.code, 0, whole.stdout);
  const other = checked(made.stdout.replaceAll('"args": ["x"]', '"args": ["y"]'), ...layout);
  assert.equal(other.code, 4);
  assert.match(other.stdout, /CreateContainer: rule "create-container-verified-images" refuses/);
  // Of an image of which only the digest is known, a rule about its process is not evaluated, and that is said.
  const partly = checked(
    '[image]\npuller = "built-in"\n[api]\nallowed_endpoints = ["*"]\n' +
      `[[api.rule]]\nname = "own"\nendpoints = ["CreateContainer"]\nexpression = 'image.from == "pause_bundle" || runs_image_entrypoint(["x"])'\n`,
  );
  assert.equal(partly.code, 0, partly.stdout);
  assert.match(
    partly.stdout,
    /not checked\n[^]*rule "own": it is evaluated after the pull, .* pass --image-layout registry/,
  );
});

test('the note about users names the containers whose process is not compared with the image', () => {
  const digest = layoutOf('users', { Entrypoint: ['/app'], User: 'app' });
  const reference = `registry.example/app@${digest}`;
  const two = file(
    'two.yaml',
    `kind: Pod\nmetadata: { name: p }\nspec:\n  containers:\n    - { name: c, image: "${reference}" }\n    - { name: d, image: "${reference}", command: [y] }\n`,
  );
  const layout = ['--image-layout', `${reference}=${join(directory, 'users')}`];
  const { code, stderr } = runBinary(['config', 'generate', '--pod', two, ...layout, ...pulling]);
  assert.equal(code, 0, stderr);
  assert.match(
    stderr,
    /note: not constrained: container d, user, group of the user: image .* has a user name, "app"/,
  );
});

test('an image that is not pinned, or not in its layout, is an error with a remedy', () => {
  const digest = layoutOf('wrong', {}, { os: 'windows', architecture: 'amd64' });
  const layout = join(directory, 'wrong');
  const reference = `registry.example/app@${digest}`;
  const failing = (reference: string, message: RegExp, code: number, ...more: readonly string[]): void => {
    const made = runBinary(['config', 'generate', '--pod', podOf(reference), ...more]);
    assert.equal(made.code, code, made.stderr);
    assert.match(made.stderr, message);
  };
  const tagged =
    /containers\[0\]\.image: app:1 has no digest, and the host can move a tag\n +write app:1@sha256:DIGEST/;
  failing('app:1', tagged, 1, ...pulling);
  failing(
    reference,
    /with this setup the guest pulls no images\n +add --guest confidential/,
    2,
    '--puller',
    'built-in',
  );
  const of = (name: string) => ['--image-layout', `${name}=${layout}`];
  failing('app:1', /image app:1 has no digest, so that any image could be/, 1, ...of('app:1'));
  failing(reference, /has no image for linux\/amd64\n +name another: --platform/, 1, ...of(reference));
  const missing = `registry.example/app@sha256:${'0'.repeat(64)}`;
  failing(
    missing,
    /does not have image .*\n +fetch it again, such as: skopeo copy --all --preserve-digests/,
    3,
    ...of(missing),
  );
  failing(reference, /--image-layout 'x': must be IMAGE=DIR/, 2, '--image-layout', 'x');
  writeFileSync(join(layout, 'blobs/sha256', digest.slice(7)), '{}');
  failing(reference, /does not have the digest of its name/, 1, ...of(reference));
});

test('code that the source of a variable chooses is named by generate, which exits with 4 with --strict, and by check', () => {
  const of = (args: string): string =>
    file(
      'code.yaml',
      `kind: Pod\nmetadata: { name: p }\nspec: { containers: [{ name: web, image: i, command: [sh, -c], args: ${args}, ` +
        'env: [{ name: TOKEN, valueFrom: { secretKeyRef: { name: x, key: k } } }] }] }\n',
    );
  const line =
    'container web, args[0]: code of sh, which the source of the variable chooses: $(TOKEN) from Secret x, key k';
  const code = of('["$(TOKEN)"]');
  const written = runBinary(['config', 'generate', '--strict', '--pod', code]);
  assert.equal(written.code, 4);
  assert.ok(written.stderr.includes(`not constrained: ${line}\n`), written.stderr);
  assert.ok(written.stdout.includes(`# - ${line}\n`));
  const configuration = file('code.toml', written.stdout);
  assert.ok(runBinary(['config', 'check', configuration, '--pod', code]).stdout.includes(`    ${line}\n`));
  const value = of(`['run "$1"', run, $(TOKEN)]`);
  assert.ok(!runBinary(['config', 'generate', '--pod', value]).stderr.includes('code of'));
});
