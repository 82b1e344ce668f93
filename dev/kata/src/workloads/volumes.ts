// The volumes of a pod, at the paths and with the contents that the kubelet gives them: Kata's runtime recognizes the kind
// of a volume by its path.
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Manifests, type Pod, quantity, type Volume } from './manifests.js';

type Files = Readonly<Record<string, string>>;

export interface VolumeContext {
  /** The kubelet's directory of the pod. */
  readonly podDirectory: string;
  readonly manifests: Manifests;
  readonly fsGroup: number | undefined;
  /** Runs a command in the mount namespace of containerd. */
  readonly runInside: (...command: readonly string[]) => void;
}

/** Creates a volume and returns its path on the host. */
export function makeVolume(volume: Volume, context: VolumeContext): string {
  const { manifests, fsGroup, runInside } = context;
  const { name, emptyDir, configMap, secret, projected, hostPath } = volume;
  if (hostPath !== undefined) return hostPath.path;
  const directory = (kind: string): string => {
    const path = join(context.podDirectory, 'volumes', `kubernetes.io~${kind}`, name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  if (emptyDir !== undefined) {
    const path = directory('empty-dir');
    if (emptyDir?.medium === 'Memory') {
      const size = quantity(emptyDir.sizeLimit ?? '64Mi');
      runInside('mount', '-t', 'tmpfs', '-o', `mode=0777,size=${size}`, 'tmpfs', path);
    }
    runInside('chmod', fsGroup === undefined ? '0777' : '2777', path);
    if (fsGroup !== undefined) runInside('chgrp', String(fsGroup), path);
    return path;
  }
  // The kubelet has secrets in a tmpfs. Here they are on the disk, which changes nothing for the runtime.
  const [kind, files] = contents();
  const path = directory(kind);
  writeFiles(path, files);
  return path;

  function contents(): readonly [kind: string, files: Files] {
    if (configMap !== undefined)
      return ['configmap', filesOf(manifests.configMaps, configMap.name, configMap.optional)];
    if (secret !== undefined)
      return ['secret', filesOf(manifests.secrets, secret.secretName, secret.optional)];
    const sources = (projected?.sources ?? []).map((source) =>
      source.secret === undefined
        ? filesOf(manifests.configMaps, source.configMap?.name ?? '')
        : filesOf(manifests.secrets, source.secret.name),
    );
    if (sources.length === 0) throw new Error(`volume ${name} has a kind that is not known here`);
    return ['projected', Object.assign({}, ...sources) as Files];
  }
}

function filesOf(objects: ReadonlyMap<string, Files>, name: string, optional = false): Files {
  const files = objects.get(name);
  if (files === undefined && !optional) throw new Error(`the manifests have no object ${name}`);
  return files ?? {};
}

/**
 * Writes files as the kubelet's atomic writer does: in a new directory, which the link `..data` then names. Source:
 * Kubernetes, pkg/volume/util/atomic_writer.go.
 */
export function writeFiles(volume: string, files: Files): void {
  const stamp = `..${process.hrtime.bigint()}`;
  const directory = join(volume, stamp);
  mkdirSync(directory, { mode: 0o755 });
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(directory, name), text, { mode: 0o644 });
  symlinkSync(stamp, join(volume, '..data_tmp'));
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
  for (const name of Object.keys(files)) {
    const link = join(volume, name);
    if (!existsSync(link)) {
      rmSync(link, { force: true });
      symlinkSync(join('..data', name), link);
    }
  }
}

/**
 * Returns the paths in a volume where containers mount other volumes: the kubelet creates these directories, since a
 * volume may be read-only. Source: Kubernetes, pkg/volume/util/nested_volumes.go.
 */
export function nestedMountPoints({ spec }: Pod, volume: string): readonly string[] {
  return [...spec.containers, ...(spec.initContainers ?? [])].flatMap(({ volumeMounts = [] }) =>
    volumeMounts
      .filter(({ name }) => name === volume)
      .flatMap(({ mountPath }) =>
        volumeMounts
          .filter((other) => other.mountPath.startsWith(`${mountPath}/`))
          .map((other) => other.mountPath.slice(mountPath.length + 1)),
      ),
  );
}
