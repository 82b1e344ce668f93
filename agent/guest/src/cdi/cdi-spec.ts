import { FormError } from '@kata-agent/base';
import type { OciHook, OciHooks } from '../request/oci-spec.js';
import { isCdiDevice, isCdiKind } from './requested-cdi-devices.js';

const hookKinds: ReadonlyMap<string, keyof OciHooks> = new Map(
  (
    [
      'prestart',
      'createRuntime',
      'createContainer',
      'startContainer',
      'poststart',
      'poststop',
    ] satisfies readonly (keyof OciHooks)[]
  ).map((kind) => [kind, kind]),
);

const unsupportedEdits: readonly string[] = ['intelRdt', 'netDevices'];

/** A specification of the Container Device Interface: the devices of one kind, and how containers get them. */
export interface CdiSpec {
  /** `vendor/class`. */
  readonly kind: string;
  readonly devices: ReadonlyMap<string, ContainerEdits>;
  /** Made once, whichever of its devices a container gets. */
  readonly edits: ContainerEdits;
}

/** The minor versions of `cdiVersion` (container-device-interface, SPEC.md, "Versioning"). */
const versions = /^v?(?:0\.[2-8]\.0|1\.[01]\.0)$/;

/**
 * Parses a specification. Its version decides nothing further: later ones only add members.
 *
 * @param value the parsed JSON or YAML
 * @throws FormError
 */
export function parseCdiSpec(value: unknown): CdiSpec {
  const spec = objectAt(value, 'the specification', [
    'cdiVersion',
    'kind',
    'annotations',
    'devices',
    'containerEdits',
  ]);
  const version = textAt(spec['cdiVersion'], 'cdiVersion');
  if (!versions.test(version)) throw new FormError(`cdiVersion ${JSON.stringify(version)} is not known`);
  const kind = textAt(spec['kind'], 'kind');
  if (!isCdiKind(kind)) throw new FormError('kind must be vendor/class, such as nvidia.com/gpu');
  const devices = new Map<string, ContainerEdits>();
  for (const { name, edits } of listAt(spec['devices'], 'devices', deviceAt)) {
    if (devices.has(name)) throw new FormError(`device ${JSON.stringify(name)} is duplicated`);
    devices.set(name, edits);
  }
  if (devices.size === 0) throw new FormError('devices is empty');
  return { kind, devices, edits: parseContainerEdits(spec['containerEdits'], 'containerEdits') };
}

function deviceAt(value: unknown, where: string): { readonly name: string; readonly edits: ContainerEdits } {
  const device = objectAt(value, where, ['name', 'annotations', 'containerEdits']);
  const name = textAt(device['name'], `${where}.name`);
  if (!isCdiDevice(name)) throw new FormError(`${where}.name is not the name of a CDI device`);
  return { name, edits: parseContainerEdits(device['containerEdits'], `${where}.containerEdits`) };
}

/** Returns an object whose members all have known names. `where`: for errors, as `devices[0].name`. */
function objectAt(
  value: unknown,
  where: string,
  known: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new FormError(`${where} must be an object`);
  const unknown = Object.keys(value).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new FormError(`${where} has the unknown member ${JSON.stringify(unknown.slice(0, 80))}`);
  return value as Readonly<Record<string, unknown>>;
}

/** Returns a list; empty if it is absent. */
function listAt<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): readonly T[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new FormError(`${where} must be a list`);
  return value.map((each, index) => read(each, `${where}[${index}]`));
}

function textAt(value: unknown, where: string): string {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value;
  throw new FormError(`${where} must be a string`);
}

/** Returns undefined for an absent or empty string, as the specification's own library does. */
function optionalTextAt(value: unknown, where: string): string | undefined {
  return value === undefined || value === null || value === '' ? undefined : textAt(value, where);
}

/** Returns a number from 0 to 2^32-1; undefined: it is absent. */
function integerAt(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32) return value;
  throw new FormError(`${where} must be a number from 0 to 4294967295`);
}

/** A device node that a CDI specification adds. */
export interface CdiDeviceNode {
  /** In the container. */
  readonly path: string;
  /** In the guest; absent: the same path. */
  readonly hostPath?: string | undefined;
  readonly type?: string | undefined;
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  readonly fileMode?: number | undefined;
  /** Some of `rwm`. Absent: all. */
  readonly permissions?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** A mount that a CDI specification adds. */
export interface CdiMount {
  /** In the guest. */
  readonly hostPath: string;
  readonly containerPath: string;
  readonly type?: string | undefined;
  readonly options: readonly string[];
}

export interface CdiHook {
  readonly kind: keyof OciHooks;
  readonly hook: OciHook;
}

/**
 * The changes of a container's spec for a device (container-device-interface, SPEC.md, "OCI Edits").
 */
export interface ContainerEdits {
  readonly env: readonly string[];
  readonly deviceNodes: readonly CdiDeviceNode[];
  readonly mounts: readonly CdiMount[];
  readonly hooks: readonly CdiHook[];
  readonly additionalGids: readonly number[];
  /** Names of edits that this agent does not make. */
  readonly unsupported: readonly string[];
}

/**
 * Parses `containerEdits`.
 *
 * @param where for errors: `devices[0].containerEdits`
 * @throws FormError
 */
function parseContainerEdits(value: unknown, where: string): ContainerEdits {
  const edits = objectAt(value ?? {}, where, [
    'env',
    'deviceNodes',
    'mounts',
    'hooks',
    'additionalGids',
    ...unsupportedEdits,
  ]);
  return {
    env: listAt(edits['env'], `${where}.env`, variableAt),
    deviceNodes: listAt(edits['deviceNodes'], `${where}.deviceNodes`, deviceNodeAt),
    mounts: listAt(edits['mounts'], `${where}.mounts`, mountAt),
    hooks: listAt(edits['hooks'], `${where}.hooks`, hookAt),
    additionalGids: listAt(edits['additionalGids'], `${where}.additionalGids`, gidAt),
    unsupported: unsupportedEdits.filter((name) => edits[name] !== undefined && edits[name] !== null),
  };
}

function variableAt(value: unknown, where: string): string {
  const text = textAt(value, where);
  if (text.indexOf('=') > 0) return text;
  throw new FormError(`${where} is not of the form NAME=value`);
}

function deviceNodeAt(value: unknown, where: string): CdiDeviceNode {
  const known = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
  const node = objectAt(value, where, known);
  const number = (name: string): number | undefined => integerAt(node[name], `${where}.${name}`);
  const permissions = optionalTextAt(node['permissions'], `${where}.permissions`);
  if (permissions !== undefined && !/^[rwm]*$/.test(permissions))
    throw new FormError(`${where}.permissions must be some of r, w and m`);
  return {
    path: textAt(node['path'], `${where}.path`),
    hostPath: optionalTextAt(node['hostPath'], `${where}.hostPath`),
    type: optionalTextAt(node['type'], `${where}.type`),
    major: number('major'),
    minor: number('minor'),
    fileMode: number('fileMode'),
    permissions,
    uid: number('uid'),
    gid: number('gid'),
  };
}

function mountAt(value: unknown, where: string): CdiMount {
  const mount = objectAt(value, where, ['hostPath', 'containerPath', 'type', 'options']);
  return {
    hostPath: textAt(mount['hostPath'], `${where}.hostPath`),
    containerPath: textAt(mount['containerPath'], `${where}.containerPath`),
    type: optionalTextAt(mount['type'], `${where}.type`),
    options: listAt(mount['options'], `${where}.options`, textAt),
  };
}

function hookAt(value: unknown, where: string): CdiHook {
  const hook = objectAt(value, where, ['hookName', 'path', 'args', 'env', 'timeout']);
  const kind = hookKinds.get(textAt(hook['hookName'], `${where}.hookName`));
  if (kind === undefined) throw new FormError(`${where}.hookName is not the name of an OCI hook`);
  return {
    kind,
    hook: {
      path: textAt(hook['path'], `${where}.path`),
      args: listAt(hook['args'], `${where}.args`, textAt),
      env: listAt(hook['env'], `${where}.env`, variableAt),
      timeout: integerAt(hook['timeout'], `${where}.timeout`),
    },
  };
}

function gidAt(value: unknown, where: string): number {
  const gid = integerAt(value, where);
  if (gid !== undefined) return gid;
  throw new FormError(`${where} is missing`);
}
