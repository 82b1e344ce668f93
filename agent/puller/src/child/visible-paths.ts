import { existsSync, realpathSync } from 'node:fs';
import { MountAttribute, type VisiblePath } from '@kata-agent/linux';

const resolverFiles: readonly string[] = ['/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'];

/** Gives the layers' blobs, read-only, and the root file system that is filled. */
export function unpackPaths(blobs: string, target: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: blobs, to: '/blobs', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    // Set-user-ID bits are written, but have no effect on this mount.
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the root file system, read-only, and the directory for its image. */
export function packPaths(source: string, target: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec, ReadOnly } = MountAttribute;
  return [
    { from: source, to: '/source', attributes: NoSuid | NoDev | NoExec | ReadOnly },
    { from: target, to: '/target', attributes: NoSuid | NoDev | NoExec },
  ];
}

/** Gives the directory for blobs, and the files with which the C library resolves names. */
export function pullPaths(blobs: string): readonly VisiblePath[] {
  const { NoSuid, NoDev, NoExec } = MountAttribute;
  const attributes = NoSuid | NoDev | NoExec;
  return [
    { from: blobs, to: '/blobs', attributes },
    ...resolverFiles
      .filter((path) => existsSync(path))
      // The target of a link, such as that of systemd-resolved, is not visible.
      .map((path) => ({
        from: realpathSync(path),
        to: path,
        attributes: attributes | MountAttribute.ReadOnly,
      })),
  ];
}
