import { readContainer } from './container.js';
import { type Field, optional, WorkloadError } from './field.js';
import { isImageName } from './image-name.js';
import { type ObjectFile, objectsOf } from './objects.js';
import { chooseTemplates, type PassedOver } from './pod-templates.js';
import { refusedName, unknownFields, unservedFields } from './unserved-fields.js';
import { sealedLocations, type SealedTexts, sealedTexts } from './sealed-secrets.js';
import type { Volume, Workload } from './workload.js';

/** The objects of files. */
export interface Manifests {
  /** In order. */
  readonly workloads: readonly Workload[];
  /** Objects of kinds that Kubernetes itself does not have, whose pod templates nobody has named. */
  readonly passedOver: readonly PassedOver[];
}

/** Returns the workloads of the files, as `readManifests`. */
export function readWorkloads(files: readonly ObjectFile[]): readonly Workload[] {
  return readManifests(files).workloads;
}

/**
 * Returns the workloads of the files. Keys of ConfigMaps and Secrets among them give names of variables. Of other kinds
 * those are workloads that have a pod template at one of the paths `templates`. Throws WorkloadError with file, line and
 * column, also if there is no workload at all.
 */
export function readManifests(
  files: readonly ObjectFile[],
  { templates = [] }: { readonly templates?: readonly string[] } = {},
): Manifests {
  const objects = files.flatMap(objectsOf);
  const keys = new Map<string, readonly string[]>();
  const settings = new Map<string, ReadonlyMap<string, string>>();
  const sealed = new Map<string, ReadonlyMap<string, string>>();
  for (const object of objects) {
    const kind = object.get('kind')?.text();
    const name = object.in('metadata', 'name')?.text();
    if (kind !== 'ConfigMap' && kind !== 'Secret') continue;
    keys.set(
      `${kind}/${name ?? ''}`,
      ['data', 'stringData'].flatMap((key) => object.get(key)?.keys() ?? []),
    );
    sealed.set(`${kind}/${name ?? ''}`, sealedTexts(object, kind));
    if (kind === 'ConfigMap') settings.set(`${kind}/${name ?? ''}`, textsOf(object.get('data')));
  }
  const { chosen, passedOver } = chooseTemplates(files, objects, templates);
  const workloads = chosen.map(({ object, template }) =>
    readWorkload(object, template, { keys, settings, sealed }),
  );
  return { workloads, passedOver };
}

function readWorkload(
  object: Field,
  template: Field,
  { keys, settings, sealed }: Pick<Workload, 'keys' | 'settings'> & { readonly sealed: SealedTexts },
): Workload {
  const kind = object.required('kind').text();
  const pod = template.required('spec');
  const metadata = template.get('metadata');
  const annotations = textsOf(metadata?.get('annotations'));
  const ownName = object.in('metadata', 'name')?.text();
  const security = pod.get('securityContext');
  const user = security?.get('runAsUser')?.whole();
  const group = security?.get('runAsGroup')?.whole();
  const containers = [
    ...pod.list('initContainers').map((field) => readContainer(field, true)),
    ...pod.list('containers').map((field) => readContainer(field, false)),
  ];
  if (containers.length === 0) throw new WorkloadError(pod.place, 'containers is missing');
  refuseSameNames([...pod.list('initContainers'), ...pod.list('containers')]);
  refuseSameNames(pod.list('volumes'));
  const hostPid = pod.get('hostPID')?.flag() ?? false;
  const sharesProcesses = pod.get('shareProcessNamespace')?.flag() ?? false;
  const claims = object.get('spec')?.list('volumeClaimTemplates') ?? [];
  const volumes = [...pod.list('volumes').map(readVolume), ...claims.map(readClaim)];
  const workload: Workload = {
    kind,
    name: ownName ?? object.in('metadata', 'generateName')?.text() ?? '',
    namesPods: kind !== 'Pod' || ownName === undefined,
    ...optional('namespace', object.in('metadata', 'namespace')?.text()),
    labels: textsOf(metadata?.get('labels')),
    annotations,
    serviceAccount: pod.get('serviceAccountName')?.text() ?? 'default',
    ...optional('hostname', (pod.get('hostnameOverride') ?? pod.get('hostname'))?.text()),
    file: object.source.file,
    place: object.place,
    path: pod.path,
    containers,
    volumes: new Map(volumes.map((volume) => [volume.name, volume])),
    ...(user === undefined ? {} : { user }),
    ...(group === undefined ? {} : { group }),
    supplementalGroups: (security?.list('supplementalGroups') ?? []).map((gid) => gid.whole()),
    ...optional('volumeGroup', security?.get('fsGroup')?.whole()),
    strictGroups: security?.get('supplementalGroupsPolicy')?.text() === 'Strict',
    sysctls: (security?.list('sysctls') ?? []).map((sysctl) => ({
      name: sysctl.required('name').text(),
      value: sysctl.required('value').scalar(),
      path: sysctl.path,
    })),
    hostnameHasDomain: pod.get('setHostnameAsFQDN')?.flag() ?? false,
    hostIpc: pod.get('hostIPC')?.flag() ?? false,
    sharesProcesses: sharesProcesses || hostPid,
    ownUsers: pod.get('hostUsers')?.flag() === false,
    unserved: [...refusedName(object.get('metadata')), ...unservedFields(pod, annotations)],
    hasToken: pod.get('automountServiceAccountToken')?.flag() ?? true,
    hasServiceLinks: pod.get('enableServiceLinks')?.flag() ?? true,
    indexed: object.in('spec', 'completionMode')?.text() === 'Indexed',
    keys,
    settings,
    sealedLocations: sealedLocations(pod, sealed),
    hostAliases: pod.list('hostAliases').map((alias) => ({
      address: alias.required('ip').text(),
      names: alias.list('hostnames').map((each) => each.text()),
    })),
    notes: [...notesOf(pod), ...containers.filter(({ image }) => !isImageName(image)).map(imageNote)],
  };
  for (const container of workload.containers) {
    for (const mount of container.mounts) {
      if (workload.volumes.has(mount.volume)) continue;
      throw new WorkloadError(workload.place, `${mount.path}: unknown volume "${mount.volume}"`);
    }
  }
  return workload;
}

/** Throws WorkloadError if two elements have one name: Kubernetes refuses such a pod. */
function refuseSameNames(elements: readonly Field[]): void {
  const paths = new Map<string, string>();
  for (const element of elements) {
    const field = element.required('name');
    const name = field.text();
    const other = paths.get(name);
    if (other !== undefined)
      throw new WorkloadError(
        field.place,
        `${field.path}: ${JSON.stringify(name)} is the name of ${other}: choose another`,
      );
    paths.set(name, element.path);
  }
}

/** Returns the strings of a mapping, by key. */
function textsOf(field: Field | undefined): ReadonlyMap<string, string> {
  return new Map(field?.keys().map((key) => [key, field.get(key)?.scalar() ?? '']));
}

function readVolume(field: Field): Volume {
  const kind = field.keys().find((key) => key !== 'name') ?? 'emptyDir';
  const hostPath = field.in('hostPath', 'path')?.text();
  const claim = field.in('persistentVolumeClaim', 'claimName')?.text();
  return {
    name: field.required('name').text(),
    kind,
    memory: kind === 'emptyDir' && field.in('emptyDir', 'medium')?.text() === 'Memory',
    ...(hostPath === undefined ? {} : { hostPath }),
    ...optional('claim', claim),
    path: field.path,
  };
}

function readClaim(field: Field): Volume {
  const name = field.required('metadata').required('name').text();
  return { name, kind: 'persistentVolumeClaim', memory: false, path: field.path };
}

function imageNote({ image, path }: Workload['containers'][number]): string {
  return `${path}.image: ${JSON.stringify(image)} is no name of an image: the kubelet does not start the pod`;
}

function notesOf(pod: Field): readonly string[] {
  const hostPid = pod.get('hostPID');
  const hostIpc = pod.get('hostIPC');
  return [
    ...unknownFields(pod),
    ...(hostPid?.flag() === true
      ? [`${hostPid.path}: containers see the processes of the pod, not those of the node`]
      : []),
    ...(hostIpc?.flag() === true
      ? [`${hostIpc.path}: containers use the IPC of the guest, not of the node`]
      : []),
  ];
}
