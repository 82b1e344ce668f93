import { existsSync, lstatSync, mkdirSync, rmdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { mount } from '@kata-agent/linux';
import { GuestError } from '../guest-error.js';
import type { OciMount, OciRoot, OciSpec } from '../oci-spec.js';
import { isBind } from '../spec/mounts.js';
import { realSource } from '../storage/real-source.js';
import { removeTree } from '../storage/remove-tree.js';
import { unmount } from '../storage/unmount.js';
import type { GuestContext } from './guest-context.js';
import type { UndoStack } from './undo-stack.js';

/**
 * The container's root is always `<bundle>/rootfs` (S10). Either a storage of the request is mounted there already, or
 * the directory that the request names is put there: one below Kata's directory, as a shared file system's, or any other,
 * as agent-ctl has it, which the container may write to without changing it. Never one that holds the agent's own
 * state.
 */
export function placeRootfs(
  bundle: string,
  root: OciRoot | undefined,
  context: GuestContext,
  made: UndoStack,
): string {
  const { paths, syscalls } = context;
  const rootfs = join(bundle, 'rootfs');
  if (existsSync(rootfs)) return rootfs;
  if (root === undefined || !isAbsolute(root.path)) {
    throw new GuestError(
      'invalid',
      `root.path ${JSON.stringify(root?.path ?? '')} must be absolute, or a storage be mounted at ${rootfs}`,
    );
  }
  const source = realSource(root.path, 'root.path', paths);
  mkdirSync(rootfs);
  made.push(`directory ${rootfs}`, () => rmdirSync(rootfs));
  const writable = root.readonly !== true && !source.startsWith(`${paths.kata}/`);
  if (writable) mountCopyOnWrite(source, { bundle, rootfs, context }, made);
  else mount(syscalls, { source, target: rootfs, type: 'bind', options: [] });
  made.push(`mount at ${rootfs}`, () => unmount(rootfs, syscalls));
  return rootfs;
}

/**
 * A writable root that is no shared folder: what the container writes stays in its bundle, so that a request can name
 * any directory of the guest without getting it changed.
 */
function mountCopyOnWrite(
  lower: string,
  { bundle, rootfs, context }: { bundle: string; rootfs: string; context: GuestContext },
  made: UndoStack,
): void {
  if (/[:,\\]/.test(lower)) {
    throw new GuestError(
      'invalid',
      `root.path ${JSON.stringify(lower)} holds ":", "," or a backslash, which overlayfs cannot take: ` +
        'set root.readonly, or give a storage for the root',
    );
  }
  const [upper, work] = [join(bundle, 'upper'), join(bundle, 'work')];
  for (const folder of [upper, work]) {
    mkdirSync(folder);
    made.push(`directory ${folder}`, () => removeTree(folder, context));
  }
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  mount(context.syscalls, { source: 'overlay', target: rootfs, type: 'overlay', options });
}

/** A spec whose bind mounts name real places, none of which holds the agent's own state or lies in it. */
export function checkMountSources(spec: OciSpec, paths: GuestContext['paths']): OciSpec {
  const checked = (mount: OciMount): OciMount => {
    if (!isBind(mount)) return mount;
    const named = `source of the mount at ${JSON.stringify(mount.destination)}`;
    return { ...mount, source: realSource(mount.source ?? '', named, paths) };
  };
  return { ...spec, mounts: spec.mounts?.map(checked) };
}

/** The sandbox's resolv.conf is bound over the image's, if the image has one as an ordinary file. */
export function resolvConfFor(rootfs: string, resolvConf: string | undefined): string | undefined {
  if (resolvConf === undefined) return undefined;
  const file = lstatSync(join(rootfs, 'etc/resolv.conf'), { throwIfNoEntry: false });
  return file?.isFile() === true ? resolvConf : undefined;
}
