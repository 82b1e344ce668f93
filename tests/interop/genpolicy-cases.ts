// The request cases of Kata's genpolicy against configurations that `config generate` writes for the same pods:
//
//   node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]
//
// DIR is a checkout of Kata Containers; nothing of it is in this repository. A request of a case has only the members that
// its policy reads. What it lacks is filled in from the request that a runtime is expected to make for the same container:
// members, and the mounts and image storage that a container engine adds. What a case has stays as it is.
//
// Prints a line for each case that is decided otherwise than by genpolicy, with the rules that deny it, and a summary. The
// exit code is 1 if a request passes that genpolicy refuses.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { fromJson, type JsonObject, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { generate, offlineAuthorizer, renderPlan } from '@kata-agent/analysis';
import { type Configuration, loadConfiguration } from '@kata-agent/config';
import {
  claimedImage,
  claimedName,
  defaultCapabilities,
  type RuleContext,
  type RuleMember,
} from '@kata-agent/gate';
import { compileRules, createRuleChecker } from '@kata-agent/gate/rules';
import { AgentService } from '@kata-agent/protocol/agent';
import {
  expectedCalls,
  type ImageConfigs,
  parseImageConfig,
  readWorkloads,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';

interface Case {
  readonly allowed: boolean;
  readonly description: string;
  /** `CreateContainerRequest`. */
  readonly kind: string;
  readonly request: JsonObject;
}

interface Decided extends Case {
  readonly directory: string;
  /** The rules that deny the request; empty: it passes. */
  readonly deniedBy: readonly string[];
}

const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const redis = {
  Entrypoint: ['/usr/bin/entrypoint.sh'],
  Env: [path, 'REDIS_PORT=6379'],
  WorkingDir: '/data',
  Volumes: { '/data': {}, '/node-conf': {} },
};

/** Images of the pods whose configuration is public. */
const images: ImageConfigs = new Map(
  (
    [
      [
        'registry.k8s.io/pause:3.6@sha256:3d380ca8864549e74af4b29c10f9cb0956236dfb01c40ca076fb6c37253234db',
        { Entrypoint: ['/pause'], User: '65535:65535', WorkingDir: '/' },
      ],
      ['quay.io/prometheus/busybox:latest', { Cmd: ['sh'] }],
      ...[
        'quay.io/opstree/redis',
        'quay.io/kata-containers/test-images/opstree/redis:sha256-2642c7b07713df6897fa88cbe6db85170690cf3650018ceb2ab16cfa0b4f8d48',
      ].map((name) => [name, redis] as const),
    ] as readonly (readonly [string, object])[]
  ).map(([name, config]) => [name, parseImageConfig(JSON.stringify({ config: withPath(config) }))]),
);

function withPath(config: object): object {
  return { Env: [path], ...config };
}

const { values } = parseArgs({
  options: { source: { type: 'string' }, verbose: { type: 'boolean', default: false } },
});
if (values.source === undefined) {
  console.error('usage: node tests/dist/interop/genpolicy-cases.js --source DIR [--verbose]');
  process.exit(2);
}
const root = join(values.source, 'src/tools/genpolicy/tests/policy/testdata');
if (!existsSync(root)) {
  console.error(`${root} does not exist\nhelp: pass a checkout of Kata Containers with src/tools/genpolicy`);
  process.exit(3);
}

function directoriesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('testcases.json'))
    .map((name) => dirname(join(directory, name)))
    .toSorted();
}

async function decideAll(directory: string): Promise<readonly Decided[]> {
  const cases = JSON.parse(readFileSync(join(directory, 'testcases.json'), 'utf8')) as readonly Case[];
  const files = ['pod.yaml', 'config_map.yaml']
    .map((name) => join(directory, name))
    .filter((file) => existsSync(file))
    .map((file) => ({ file, text: readFileSync(file, 'utf8') }));
  const workloads = readWorkloads(files);
  const [workload] = workloads;
  if (workload === undefined) throw new Error(`${directory} has no pod`);
  const inPodns = JSON.stringify(cases).includes('/run/netns/podns');
  const setup: RuntimeSetup = {
    runtime: 'go',
    guest: 'confidential',
    ...(inPodns ? { networkNamespace: '/run/netns/podns' } : {}),
  };
  const text = renderPlan(generate(workloads, { setup, images }), [directory]);
  const configuration = await configurationOf(text);
  const together = new Sandbox();
  return cases.map((each) => {
    // Only the cases in `state` follow each other.
    const sandbox = directory.startsWith(join(root, 'state')) ? together : new Sandbox();
    const method = each.kind.replace(/Request$/, '');
    const request = completed(method, each.request, workload, setup);
    const context = sandbox.contextOf(method, request, configuration);
    const deniedBy =
      context === undefined ? ['no such container'] : rulesAgainst(configuration, method, request, context);
    if (each.allowed || deniedBy.length === 0) sandbox.happened(method, request);
    return { ...each, directory: relative(root, directory), deniedBy };
  });
}

async function configurationOf(text: string): Promise<Configuration> {
  const loaded = await loadConfiguration({
    flags: {},
    configFlag: 'config.toml',
    environment: {},
    files: { read: () => ({ ok: true, bytes: Buffer.from(text) }) },
    rules: async () => createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: 'there is none', help: 'bind it otherwise' }),
  });
  if (loaded.ok) return loaded.configuration;
  throw new Error(loaded.diagnostics.map(({ message }) => message).join('\n'));
}

/** Returns each rule that denies a request; what the lists or the agent itself refuses is the only entry then. */
function rulesAgainst(
  configuration: Configuration,
  method: string,
  request: Message,
  context: RuleContext,
): readonly string[] {
  const allowed = offlineAuthorizer(configuration).decide(method, request, context);
  if (allowed.outcome === 'deny') return [`${allowed.rule ?? 'lists'}: ${allowed.reason}`];
  return configuration.api.documents
    .flatMap(({ rules }) => rules)
    .filter((rule) => compileRules([rule]).decide(allowed, request, context).outcome === 'deny')
    .map(({ name }) => name);
}

/** The containers that earlier cases of a directory created; a single case finds what runs before its container. */
class Sandbox {
  readonly #containers = new Map<string, { claims: JsonObject; name: string }>();
  readonly #removed: RuleMember[] = [];

  /** Undefined: the agent denies it, because the container does not exist. */
  contextOf(method: string, request: Message, { listeners }: Configuration): RuleContext | undefined {
    const { containerId = '', OCI } = request as { containerId?: string; OCI?: { Annotations: JsonObject } };
    const annotations = (OCI?.Annotations ?? this.#containers.get(containerId)?.claims ?? {}) as Record<
      string,
      string
    >;
    if (method === 'ExecProcess' && !this.#containers.has(containerId)) return undefined;
    const isPause = claimedName(annotations) === '';
    const pause: RuleMember = { name: '', state: 'running' };
    const members = [...this.#containers.values()].map(
      ({ name }): RuleMember => ({ name, state: 'running' }),
    );
    return {
      listener: listeners[0]?.name ?? '',
      peer: { kind: 'vsock', cid: 2 },
      sandbox: {
        id: annotations['io.kubernetes.cri.sandbox-id'] ?? 'sandbox',
        containers: [...this.#containers.keys()],
        members: isPause ? [] : [pause, ...members, ...this.#removed],
      },
      ...(containerId === ''
        ? {}
        : {
            container: {
              id: containerId,
              state: method === 'CreateContainer' ? 'none' : 'running',
              claimed: { image: claimedImage(annotations), annotations },
            },
          }),
    };
  }

  happened(method: string, request: Message): void {
    const { containerId = '', OCI } = request as { containerId?: string; OCI?: { Annotations: JsonObject } };
    const claims = OCI?.Annotations ?? {};
    if (method === 'CreateContainer')
      this.#containers.set(containerId, { claims, name: claimedName(claims as Record<string, string>) });
    if (method !== 'RemoveContainer') return;
    const name = this.#containers.get(containerId)?.name;
    if (name !== undefined) this.#removed.push({ name, state: 'removed', exitCode: 0 });
    this.#containers.delete(containerId);
  }
}

/** Returns the request of a case, with what it lacks filled in from the expected one. */
function completed(method: string, request: JsonObject, workload: Workload, setup: RuntimeSetup): Message {
  const schema = AgentService.methods.find(({ name }) => name === method)?.input;
  if (schema === undefined) throw new Error(`${method} is not a method of the agent`);
  const given = asProtoJson(method === 'CopyFile' ? copyFile(request) : request) as JsonObject;
  if (method === 'CreateContainer') replacePlaceholders(given, workload);
  const read = (value: JsonValue): Message => fromJson(schema, value, { ignoreUnknownFields: true });
  const write = (message: Message): JsonObject =>
    toJson(schema, message, { useProtoFieldName: true }) as JsonObject;
  const calls = expectedCalls(workload, setup, images).filter((call) => call.method === method);
  if (method === 'CreateSandbox') return read(filled(given, write(calls[0]?.request ?? read({}))));
  if (method !== 'CreateContainer') return read(given);
  const oci = (given['OCI'] ?? {}) as { Annotations?: Record<string, string>; Mounts?: JsonObject[] };
  const annotations = oci.Annotations ?? {};
  const name = claimedName(annotations);
  const call = calls.find(({ container }) => container === name);
  const id = annotations['io.katacontainers.pkg.oci.bundle_path']?.split('/').at(-1) ?? 'container';
  if (call === undefined) return read({ ...given, container_id: id });
  const sampled = write(call.request);
  const sample = textOf(sampled['container_id']);
  const expected = JSON.parse(JSON.stringify(sampled).replaceAll(sample, id)) as JsonObject;
  const whole = filled({ ...given, container_id: id, exec_id: id }, expected);
  nameImageAndCgroup(whole['OCI'] as JsonObject, expected['OCI'] as JsonObject, id);
  const own = new Set(workload.containers.flatMap(({ mounts }) => mounts.map(({ mountPath }) => mountPath)));
  const mounts = oci.Mounts ?? [];
  const missing = mountsOf(expected).filter(
    ({ destination }) =>
      !own.has(textOf(destination)) && mounts.every((mount) => mount['destination'] !== destination),
  );
  const storages = (given['storages'] ?? []) as readonly JsonObject[];
  const pulled = ((expected['storages'] ?? []) as readonly JsonObject[]).filter(
    ({ driver }) => driver === 'image_guest_pull' && storages.every((each) => each['driver'] !== driver),
  );
  return read({
    ...whole,
    storages: [...pulled, ...storages],
    OCI: { ...(whole['OCI'] as JsonObject), Mounts: [...missing, ...mounts] },
  });
}

const imageName = 'io.kubernetes.cri.image-name';

/** Ids of the cases are made up, and older engines did not name the image. */
function nameImageAndCgroup(oci: JsonObject, expected: JsonObject, id: string): void {
  const named = (expected['Annotations'] as JsonObject)[imageName];
  if (named !== undefined) oci['Annotations'] = { [imageName]: named, ...(oci['Annotations'] as JsonObject) };
  const linux = oci['Linux'] as JsonObject;
  const path = linux['CgroupsPath'];
  if (typeof path === 'string') linux['CgroupsPath'] = path.replace(/[^/:]+$/, id);
}

/** genpolicy's own placeholders, which no runtime sends. */
function replacePlaceholders(request: JsonObject, { name }: Workload): void {
  const process = (request['OCI'] as JsonObject | undefined)?.['Process'] as JsonObject | undefined;
  if (process === undefined) return;
  const sets = process['Capabilities'];
  if (isObject(sets))
    for (const [set, names] of Object.entries(sets))
      if (JSON.stringify(names).includes('$(default_caps)')) sets[set] = [...defaultCapabilities];
  const variables = process['Env'];
  if (Array.isArray(variables))
    process['Env'] = variables.map((each) => textOf(each).replace('$(host-name)', name));
}

function mountsOf({ OCI }: JsonObject): readonly JsonObject[] {
  return ((OCI as JsonObject)['Mounts'] ?? []) as readonly JsonObject[];
}

/** Returns the members of `given`, and of `expected` those that it lacks. Lists and values are kept whole. */
function filled(given: JsonObject, expected: JsonObject): JsonObject {
  const result: JsonObject = { ...expected, ...given };
  for (const [key, value] of Object.entries(given)) {
    const other = expected[key];
    if (key !== 'Annotations' && isObject(value) && isObject(other)) result[key] = filled(value, other);
  }
  return result;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Members as the Rust clients name them: `type_`; those that are null are absent. */
function asProtoJson(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(asProtoJson);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name === 'type_' ? 'type' : name, asProtoJson(member)]),
  );
}

/** genpolicy states the type and the target of a link; the agent's request has a mode, and the target as data. */
function copyFile({ path, file_type, symlink_target }: JsonObject): JsonObject {
  const modes: Readonly<Record<string, number>> = {
    Regular: 0o100644,
    Directory: 0o40755,
    Symlink: 0o120777,
  };
  return {
    path: path ?? '',
    file_mode: modes[textOf(file_type)] ?? 0,
    data: Buffer.from(textOf(symlink_target)).toString('base64'),
  };
}

function report(all: readonly Decided[]): void {
  const passed = ({ deniedBy }: Decided): boolean => deniedBy.length === 0;
  for (const each of all) {
    const { directory, kind, description, allowed, deniedBy } = each;
    if (passed(each) === allowed && !values.verbose) continue;
    const verdict = `${allowed ? 'allowed' : 'refused'} by genpolicy, ${passed(each) ? 'passes' : 'denied'}`;
    console.log(`${verdict}: ${directory}, ${kind}: ${description}`);
    for (const rule of deniedBy) console.log(`    ${rule}`);
  }
  const counts = (allowed: boolean): string => {
    const some = all.filter((each) => each.allowed === allowed);
    return `${some.length}, of which ${some.filter(passed).length} pass`;
  };
  console.log(`${all.length} cases; allowed by genpolicy: ${counts(true)}; refused: ${counts(false)}`);
  process.exitCode = all.some((each) => !each.allowed && passed(each)) ? 1 : 0;
}

const decided: Decided[] = [];
for (const directory of directoriesBelow(root)) decided.push(...(await decideAll(directory)));
report(decided);
