import { GuestError } from '../guest-error.js';
import { quotedName, quotedWord } from '../quoted.js';
import type { OciSpec } from '../request/oci-spec.js';

/** The qualified name of a CDI device, `nvidia.com/gpu=0`: a kind, `vendor/class`, and a device of it. */
export interface CdiName {
  readonly text: string;
  readonly kind: string;
  readonly device: string;
}

/** Annotations with this prefix request CDI devices (container-device-interface, "CDI Kubernetes annotations"). */
const annotationPrefix = 'cdi.k8s.io/';

const variable = 'VISIBLE_CDI_DEVICES';

/** Values of the variable that request nothing. */
const noDevices: ReadonlySet<string> = new Set(['', 'none', 'void']);

const kindPattern = /^[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?\/[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$/;
const devicePattern = /^[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?$/;

export function isCdiKind(text: string): boolean {
  return kindPattern.test(text);
}

export function isCdiDevice(text: string): boolean {
  return devicePattern.test(text);
}

/**
 * Returns the CDI devices that a container requests, each once: those of its annotations, which Kata's runtimes write for
 * a GPU, and with the setting `visible_cdi_devices` those of the variable VISIBLE_CDI_DEVICES. The container that
 * stands for the pod gets none (Kata 4.1, src/agent/src/device/mod.rs).
 *
 * @throws GuestError `invalid` for a name that is not qualified, or a malformed variable
 */
export function requestedCdiDevices(
  { annotations = {}, process }: Pick<OciSpec, 'annotations' | 'process'>,
  { visibleDevices }: { readonly visibleDevices: boolean },
): readonly CdiName[] {
  if (annotations['io.katacontainers.pkg.oci.container_type'] === 'pod_sandbox') return [];
  const annotated = Object.entries(annotations)
    .filter(([name]) => name.startsWith(annotationPrefix))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => value.split(',').map((each) => annotatedDevice(each, name)));
  const all = [...annotated, ...(visibleDevices ? ofVariable(process?.env ?? []) : [])];
  return [...new Map(all.map((name) => [name.text, name])).values()];
}

function annotatedDevice(text: string, annotation: string): CdiName {
  const name = qualifiedName(text);
  if (name !== undefined) return name;
  throw new GuestError(
    'invalid',
    `annotation ${quotedName(annotation)}: ${quotedName(text)} is not a qualified CDI device, such as vendor.com/class=name`,
  );
}

function qualifiedName(text: string): CdiName | undefined {
  const at = text.indexOf('=');
  const [kind, device] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  return isCdiKind(kind) && isCdiDevice(device) ? { text, kind, device } : undefined;
}

/** Parses `KIND=all:KIND=0,1`, with spaces around each part. */
function ofVariable(env: readonly string[]): readonly CdiName[] {
  const entry = env.find((each) => each.startsWith(`${variable}=`));
  const value = entry?.slice(variable.length + 1).trim() ?? '';
  return noDevices.has(value) ? [] : value.split(':').flatMap((each) => ofEntry(each.trim()));
}

function ofEntry(entry: string): readonly CdiName[] {
  const wrong = (reason: string): GuestError =>
    new GuestError(
      'invalid',
      `${variable}: ${quotedWord(entry)} ${reason}; help: write KIND=all or KIND=0,1`,
    );
  const at = entry.indexOf('=');
  const kind = entry.slice(0, Math.max(at, 0)).trim();
  if (!isCdiKind(kind)) throw wrong('does not begin with a CDI kind, such as nvidia.com/gpu');
  const devices = entry
    .slice(at + 1)
    .split(',')
    .map((each) => each.trim());
  if (devices.length > 1 && devices.includes('all')) throw wrong('has "all" beside other devices');
  return devices.map((text) => {
    if (text !== 'all' && !/^\d{1,9}$/.test(text))
      throw wrong('has a device that is neither "all" nor a number');
    const device = text === 'all' ? text : String(Number(text));
    return { text: `${kind}=${device}`, kind, device };
  });
}
