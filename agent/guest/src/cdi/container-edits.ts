import type { OciHook, OciHooks } from '../request/oci-spec.js';
import { CdiSpecError, integerAt, listAt, objectAt, optionalTextAt, textAt } from './spec-value.js';

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

/**
 * Parses `containerEdits`.
 *
 * @param where for errors: `devices[0].containerEdits`
 * @throws CdiSpecError
 */
export function parseContainerEdits(value: unknown, where: string): ContainerEdits {
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
  throw new CdiSpecError(`${where} is not of the form NAME=value`);
}

function deviceNodeAt(value: unknown, where: string): CdiDeviceNode {
  const known = ['path', 'hostPath', 'type', 'major', 'minor', 'fileMode', 'permissions', 'uid', 'gid'];
  const node = objectAt(value, where, known);
  const number = (name: string): number | undefined => integerAt(node[name], `${where}.${name}`);
  const permissions = optionalTextAt(node['permissions'], `${where}.permissions`);
  if (permissions !== undefined && !/^[rwm]*$/.test(permissions))
    throw new CdiSpecError(`${where}.permissions must be some of r, w and m`);
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
  if (kind === undefined) throw new CdiSpecError(`${where}.hookName is not the name of an OCI hook`);
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
  throw new CdiSpecError(`${where} is missing`);
}
