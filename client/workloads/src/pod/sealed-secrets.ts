import { isSealed } from '@kata-agent/catalogue/sealed-secret';
import type { Field } from './field.js';

/** Sealed texts in ConfigMaps and Secrets, by object (`Secret/keys`) and key. */
export type SealedTexts = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** A place of a container that has a sealed secret. */
export interface SealedLocation {
  /** The name of the container. */
  readonly container: string;
  /** The name of a variable, or the path of a file in the container. */
  readonly place: { readonly env: string } | { readonly file: string };
  /** `sealed.…` */
  readonly text: string;
  /** The field of the pod. */
  readonly path: string;
}

/** Returns the sealed texts of a ConfigMap or Secret, by key; its other values are not read further. */
export function sealedTexts(object: Field, kind: 'ConfigMap' | 'Secret'): ReadonlyMap<string, string> {
  const texts = (key: string, decode: (text: string) => string): readonly (readonly [string, string])[] => {
    const field = object.get(key);
    return (field?.keys() ?? []).map((name) => [name, decode(field?.get(name)?.scalar() ?? '')]);
  };
  const base64 = (text: string): string => Buffer.from(text, 'base64').toString('latin1');
  const all =
    kind === 'Secret'
      ? [...texts('data', base64), ...texts('stringData', (text) => text)]
      : [...texts('binaryData', base64), ...texts('data', (text) => text)];
  return new Map([...new Map(all)].filter(([, text]) => isSealed(text)));
}

/** Returns the places of a pod's containers with sealed secrets: in the pod itself, or in the objects that it names. */
export function sealedLocations(pod: Field, sealed: SealedTexts): readonly SealedLocation[] {
  const volumes = new Map(
    pod.list('volumes').map((field) => [field.required('name').text(), filesOf(field, sealed)]),
  );
  return [...pod.list('initContainers'), ...pod.list('containers')].flatMap((field) => [
    ...variablesOf(field, sealed),
    ...mountedFiles(field, volumes),
  ]);
}

function variablesOf(field: Field, sealed: SealedTexts): readonly SealedLocation[] {
  const container = field.required('name').text();
  // As the kubelet: a later source, and then `env`, replaces a variable of the same name.
  const found = new Map<string, Pick<SealedLocation, 'text' | 'path'>>();
  for (const source of field.list('envFrom')) {
    const prefix = source.get('prefix')?.text() ?? '';
    for (const [kind, key] of [
      ['ConfigMap', 'configMapRef'],
      ['Secret', 'secretRef'],
    ] as const) {
      const name = source.in(key, 'name')?.text() ?? '';
      for (const [variable, text] of sealed.get(`${kind}/${name}`) ?? [])
        found.set(prefix + variable, { text, path: source.path });
    }
  }
  for (const variable of field.list('env')) {
    const name = variable.required('name').text();
    const text = variable.get('value')?.scalar() ?? referred(variable, sealed);
    if (text !== undefined && isSealed(text)) found.set(name, { text, path: variable.path });
    else found.delete(name);
  }
  return [...found].map(([env, rest]) => ({ container, place: { env }, ...rest }));
}

function referred(variable: Field, sealed: SealedTexts): string | undefined {
  const from = variable.get('valueFrom');
  const secret = from?.get('secretKeyRef');
  const map = from?.get('configMapKeyRef');
  const object = secret ?? map;
  if (object === undefined) return undefined;
  const kind = secret === undefined ? 'ConfigMap' : 'Secret';
  return sealed.get(`${kind}/${object.required('name').text()}`)?.get(object.required('key').text());
}

/** Returns the sealed files of a volume, by their path in it. */
function filesOf(volume: Field, sealed: SealedTexts): ReadonlyMap<string, string> {
  const sources = [volume, ...(volume.get('projected')?.list('sources') ?? [])];
  const files = new Map<string, string>();
  for (const source of sources) {
    const secret = source.get('secret');
    const map = source.get('configMap');
    const object = secret ?? map;
    if (object === undefined) continue;
    // A volume names its Secret in another field than a projected source.
    const name = (object.get('secretName') ?? object.get('name'))?.text() ?? '';
    const texts = sealed.get(`${secret === undefined ? 'ConfigMap' : 'Secret'}/${name}`) ?? new Map();
    const items = object.list('items');
    if (items.length === 0) for (const [key, text] of texts) files.set(key, text);
    for (const item of items) {
      const text = texts.get(item.required('key').text());
      if (text !== undefined) files.set(item.required('path').text(), text);
    }
  }
  return files;
}

function mountedFiles(
  field: Field,
  volumes: ReadonlyMap<string, ReadonlyMap<string, string>>,
): readonly SealedLocation[] {
  const container = field.required('name').text();
  return field.list('volumeMounts').flatMap((mount) => {
    const files = volumes.get(mount.required('name').text()) ?? new Map<string, string>();
    const mountPath = cleaned(mount.required('mountPath').text());
    const part = cleaned(mount.get('subPath')?.text() ?? '');
    return [...files].flatMap(([file, text]): readonly SealedLocation[] => {
      const path = `/${file}`;
      if (part !== '' && path !== part && !path.startsWith(`${part}/`)) return [];
      return [{ container, place: { file: mountPath + path.slice(part.length) }, text, path: mount.path }];
    });
  });
}

/** Returns a path with a slash before each component; empty for none. */
function cleaned(path: string): string {
  return path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .map((name) => `/${name}`)
    .join('');
}
