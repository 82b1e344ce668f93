import { type ContainerEdits, parseContainerEdits } from './container-edits.js';
import { isCdiDevice, isCdiKind } from './requested-cdi-devices.js';
import { CdiSpecError, listAt, objectAt, textAt } from './spec-value.js';

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
 * @throws CdiSpecError
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
  if (!versions.test(version)) throw new CdiSpecError(`cdiVersion ${JSON.stringify(version)} is not known`);
  const kind = textAt(spec['kind'], 'kind');
  if (!isCdiKind(kind)) throw new CdiSpecError('kind must be vendor/class, such as nvidia.com/gpu');
  const devices = new Map<string, ContainerEdits>();
  for (const { name, edits } of listAt(spec['devices'], 'devices', deviceAt)) {
    if (devices.has(name)) throw new CdiSpecError(`device ${JSON.stringify(name)} is duplicated`);
    devices.set(name, edits);
  }
  if (devices.size === 0) throw new CdiSpecError('devices is empty');
  return { kind, devices, edits: parseContainerEdits(spec['containerEdits'], 'containerEdits') };
}

function deviceAt(value: unknown, where: string): { readonly name: string; readonly edits: ContainerEdits } {
  const device = objectAt(value, where, ['name', 'annotations', 'containerEdits']);
  const name = textAt(device['name'], `${where}.name`);
  if (!isCdiDevice(name)) throw new CdiSpecError(`${where}.name is not the name of a CDI device`);
  return { name, edits: parseContainerEdits(device['containerEdits'], `${where}.containerEdits`) };
}
