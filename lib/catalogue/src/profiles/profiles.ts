import { copiedFileRules, everyPodRules } from './every-pod-rules.js';
import { containerRules, podRules, processRules } from './pod-rules.js';
import { copiedValues, podValues, resizedValues } from './pod-values.js';
import type { Profile, ProfileRule, ProfileValues } from './profile.js';
import {
  copiedNames,
  copiedPaths,
  localVolumeRules,
  mountsIsolated,
  resizeRules,
  runtimeRules,
} from './runtime-rules.js';

const common = [...everyPodRules, ...podRules, ...processRules, ...containerRules];

/**
 * The order of evaluation: the first rule that denies is named in the reason. Facts of the pod come first, then what every request must
 * have, and what must not be missing.
 */
const order: readonly string[] = [
  ['commands', 'environment', 'directories', 'users', 'groups', 'terminals', 'privileges', 'capabilities'],
  ['roots', 'mounts', 'storages', 'devices', 'sysctls', 'files', 'signals'],
  ['loopback', 'hooks', 'host-names', 'processes', 'names', 'links', 'pods', 'annotations', 'namespaces'],
  ['masked-paths', 'root-paths', 'attached-devices', 'unused-fields', 'mounts-unique', 'mounts-isolated'],
  ['mount-storages', 'storage-sources', 'local-volumes', 'pulled-images', 'labels', 'gained-capabilities'],
  ['images', 'annotation-values', 'file-paths', 'file-sources', 'watched-sources', 'storage-fields'],
  ['copied-names', 'volumes-isolated', 'volumes-isolated-in-sandbox'],
  [
    'watched-volumes-isolated',
    'volume-disks',
    'local-directories',
    'side-channels',
    'versions',
    'proc-paths',
  ],
  ['cgroups', 'namespaces-unique', 'resources', 'process-limits', 'resolvers', 'file-modes', 'sizes'],
  ['volumes', 'profiles', 'environment-complete', 'capability-sets', 'mounts-complete', 'mount-order'],
  ['storages-complete', 'names-unique', 'order'],
].flat();

/** Marks a rule that reads the state of the guest: the sandbox, and of an exec or a signal also its container. */
function marked(rule: ProfileRule): ProfileRule {
  const names =
    rule.method === 'CreateContainer' ? /\bsandbox[.]/ : /\b(sandbox|container)[.]|\bcapabilities[.]/;
  return names.test(rule.expression) ? { ...rule, readsGuest: true } : rule;
}

/** @throws RangeError if the order lacks a rule */
function inOrder(rules: readonly ProfileRule[]): readonly ProfileRule[] {
  const position = ({ name }: ProfileRule): number => {
    const at = order.indexOf(name);
    if (at < 0) throw new RangeError(`the order of evaluation lacks ${name}`);
    return at;
  };
  return rules.toSorted((one, other) => position(one) - position(other)).map(marked);
}

const all: readonly Profile[] = [
  {
    name: 'rs-shared-1',
    purpose: 'runtime-rs, and guests with a shared filesystem',
    values: podValues,
    rules: inOrder([...common, ...runtimeRules({ sharing: 'rs' }), ...mountsIsolated]),
  },
  {
    name: 'go-shared-1',
    purpose: 'the Go runtime, and guests with a shared filesystem',
    values: resizedValues,
    rules: inOrder([...common, ...runtimeRules({ sharing: 'go' }), ...localVolumeRules, ...resizeRules]),
  },
  {
    name: 'confidential-1',
    purpose: 'both runtimes, and guests without a shared filesystem',
    values: copiedValues,
    rules: inOrder([
      ...common,
      ...runtimeRules({ sharing: 'none' }),
      ...mountsIsolated,
      ...resizeRules,
      ...copiedFileRules,
      copiedPaths,
      copiedNames,
    ]),
  },
];

/** The profiles of this version, by name. */
export const profiles: ReadonlyMap<string, Profile> = new Map(all.map((profile) => [profile.name, profile]));

/** The values of all profiles, where the profile of a document is not known. */
export const profileValues: ProfileValues = Object.assign(
  {},
  ...all.map(({ values }) => values),
) as ProfileValues;

export { engineMounts } from './pod-rules.js';
export { maxPositions } from './profile.js';
export {
  type Constant,
  type ConstantType,
  constantType,
  type Profile,
  type ProfileRule,
  type ProfileValue,
  type ProfileValues,
  recordType,
  ruleNameOf,
} from './profile.js';
