// What a request case of Kata's genpolicy lacks, and a runtime sends. A case has only the members that its policy reads.
import { fromJson, type JsonObject, type JsonValue, type Message, toJson } from '@bufbuild/protobuf';
import { sharedDirectory } from '@kata-agent/catalogue';
import { claimedName, defaultCapabilities } from '@kata-agent/gate';
import { AgentService } from '@kata-agent/protocol/agent';
import {
  type Container,
  expectedCalls,
  type ImageConfigs,
  type RuntimeSetup,
  type Workload,
} from '@kata-agent/workloads';

/** What a case is completed from. */
export interface Expectation {
  readonly workload: Workload;
  readonly setup: RuntimeSetup;
  readonly images: ImageConfigs;
  /** The name of the container with an id in earlier cases. */
  readonly nameOf: (containerId: string) => string | undefined;
  /** Whether HOSTNAME of an exec becomes that of the pod: in the cases it is another one, which genpolicy ignores. */
  readonly ownHostname: boolean;
}

/**
 * Returns a workload whose first container mounts a config map for each name in `paths`, the paths of CopyFile cases, that no
 * container mounts: the pod of these cases mounts nothing that they copy.
 */
export function withCopiedVolumes(workload: Workload, paths: readonly string[]): Workload {
  const [first, ...others] = workload.containers;
  const names = new Set(
    paths.flatMap((path) => {
      const [name = ''] = path.startsWith(`${sharedDirectory}/`)
        ? path.slice(sharedDirectory.length + 1).split('/')
        : [];
      return /^[0-9a-f]{64}-[0-9a-f]{16}-(?<name>.+)$/.exec(name)?.groups?.['name'] ?? [];
    }),
  );
  for (const name of ['hosts', 'hostname', 'resolv.conf', 'termination-log', 'serviceaccount'])
    names.delete(name);
  if (first === undefined || names.size === 0) return workload;
  const added = [...names].map((name) => ({ name, path: 'spec.volumes' }));
  const container: Container = {
    ...first,
    mounts: [
      ...first.mounts,
      ...added.map(({ name, path }) => ({
        volume: name,
        mountPath: `/${name}`,
        readOnly: true,
        propagation: 'rprivate' as const,
        part: false,
        path,
      })),
    ],
  };
  const volumes = added.map(({ name, path }) => ({ name, kind: 'configMap', memory: false, path }));
  return {
    ...workload,
    containers: [container, ...others],
    volumes: new Map([...workload.volumes, ...volumes.map((volume) => [volume.name, volume] as const)]),
  };
}

/**
 * Returns the request of a case with what it lacks filled in from the expected one: members, variables, mounts in the order of
 * the engine, and the image's storage. What a case has keeps its value.
 */
export function completed(method: string, request: JsonObject, expectation: Expectation): Message {
  const { workload, setup, images, nameOf, ownHostname } = expectation;
  const schema = AgentService.methods.find(({ name }) => name === method)?.input;
  if (schema === undefined) throw new Error(`${method} is not a method of the agent`);
  const given = asProtoJson(method === 'CopyFile' ? copyFile(request) : request) as JsonObject;
  const read = (value: JsonValue): Message => fromJson(schema, value, { ignoreUnknownFields: true });
  const write = (message: Message): JsonObject =>
    toJson(schema, message, { useProtoFieldName: true }) as JsonObject;
  const calls = expectedCalls(workload, setup, images).filter((call) => call.method === method);
  if (method === 'CreateSandbox') return read(filled(given, write(calls[0]?.request ?? read({}))));
  if (method === 'ExecProcess') {
    const name = nameOf(textOf(given['container_id']));
    const call = calls.find(({ container }) => container !== undefined && container === name);
    const expected = call === undefined ? {} : (write(call.request)['process'] as JsonObject);
    const process = withVariables(given['process'] as JsonObject, expected);
    const variables = (process['Env'] as string[]).map((variable) =>
      ownHostname ? variable.replace(/^HOSTNAME=.*/, `HOSTNAME=${workload.name}`) : variable,
    );
    return read({ ...given, process: { ...process, Env: variables } });
  }
  if (method !== 'CreateContainer') return read(given);
  replacePlaceholders(given, workload);
  const annotations =
    (given['OCI'] as { Annotations?: Record<string, string> } | undefined)?.Annotations ?? {};
  const name = claimedName(annotations);
  const call = calls.find(({ container }) => container === name);
  const id = annotations['io.katacontainers.pkg.oci.bundle_path']?.split('/').at(-1) ?? 'container';
  if (call === undefined) return read({ ...given, container_id: id });
  const sampled = write(call.request);
  const sample = textOf(sampled['container_id']);
  const expected = JSON.parse(JSON.stringify(sampled).replaceAll(sample, id)) as JsonObject;
  const whole = filled({ ...given, container_id: id, exec_id: id }, expected);
  const oci = whole['OCI'] as JsonObject;
  const expectedOci = expected['OCI'] as JsonObject;
  nameImageAndCgroup(oci, expectedOci, id);
  const container = workload.containers.find((each) => each.name === name);
  const storages = storagesOf(given);
  const pulled = storagesOf(expected).filter(
    ({ driver }) => driver === 'image_guest_pull' && storages.every((each) => each['driver'] !== driver),
  );
  return read({
    ...whole,
    storages: [...pulled, ...storages],
    OCI: {
      ...oci,
      Process: withVariables(oci['Process'] as JsonObject, expectedOci['Process'] as JsonObject),
      Mounts: withMounts(given, expected, container),
    },
  });
}

/** Returns the mounts with those that are missing, in the order of the engine; the others follow. */
function withMounts(
  request: JsonObject,
  expected: JsonObject,
  container: Container | undefined,
): JsonObject[] {
  const given = mountsOf(request);
  const volumeOf = ({ destination }: JsonObject): string | undefined =>
    container?.mounts.find(({ mountPath }) => mountPath === destination)?.volume;
  const isExpected = ({ destination }: JsonObject): boolean =>
    mountsOf(expected).some((mount) => mount['destination'] === destination);
  const added: JsonObject[] = [];
  for (const mount of mountsOf(expected)) {
    const there = given.filter(({ destination }) => destination === mount['destination']);
    if (there.length > 0) {
      added.push(...there);
      continue;
    }
    const source = textOf(mount['source']);
    const volume = volumeOf(mount);
    const twin = [...given, ...added].find((each) => volume !== undefined && volumeOf(each) === volume);
    // A storage of the case that nothing mounts.
    const free = storagesOf(request).find(
      ({ driver, mount_point }) =>
        driver !== 'image_guest_pull' &&
        [...given, ...added].every((each) => each['source'] !== mount_point) &&
        storagesOf(expected).some(
          (storage) => storage['driver'] === driver && storage['mount_point'] === source,
        ),
    );
    added.push({ ...mount, source: twin?.['source'] ?? free?.['mount_point'] ?? source });
  }
  return [...added, ...given.filter((mount) => !isExpected(mount))];
}

/** Adds the variables that are missing; those that are expected come first, in the order of the engine. */
function withVariables(given: JsonObject, expected: JsonObject): JsonObject {
  const nameOf = (variable: string): string => variable.split('=', 1)[0] ?? '';
  const listOf = (process: JsonObject): readonly string[] => (process['Env'] ?? []) as readonly string[];
  const names = new Set(listOf(expected).map(nameOf));
  const known = listOf(expected).flatMap((variable) => {
    const there = listOf(given).filter((each) => nameOf(each) === nameOf(variable));
    return there.length > 0 ? there : [variable];
  });
  return { ...given, Env: [...known, ...listOf(given).filter((variable) => !names.has(nameOf(variable)))] };
}

function storagesOf(request: JsonObject): readonly JsonObject[] {
  return (request['storages'] ?? []) as readonly JsonObject[];
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
  return ((OCI as JsonObject | undefined)?.['Mounts'] ?? []) as readonly JsonObject[];
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
    // A character device stands for all others.
    Unknown: 0o20644,
  };
  return {
    path: path ?? '',
    file_mode: modes[textOf(file_type)] ?? 0o100644,
    data: Buffer.from(textOf(symlink_target)).toString('base64'),
  };
}
