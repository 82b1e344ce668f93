import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

/** A call as `kata-agent-ctl replay --list --format json` prints it. */
export interface ListedCall {
  readonly method: string;
  readonly request: {
    readonly storages?: readonly { readonly driver: string; readonly source: string }[];
    readonly process?: { readonly Args: readonly string[] } | null;
    readonly OCI?: {
      readonly Root: { readonly Path: string };
      readonly Process: { readonly Args: readonly string[] };
      readonly Mounts: readonly {
        readonly type: string;
        readonly source: string;
        readonly destination: string;
      }[];
    } | null;
  };
}

const guestFolder = '/run/kata-containers/shared/containers/';
const busybox = '/usr/bin/busybox';
const files: ReadonlySet<string> = new Set(['hosts', 'hostname', 'resolv.conf', 'termination-log']);

/**
 * The host's part of a pod, in a folder that stands for the shared file system: roots of busybox instead of images, in
 * which each program of the pod has a stand-in, and empty files and folders for its volumes.
 */
export function makeShare(folder: string, calls: readonly ListedCall[]): void {
  const hostPath = (path: string): string | undefined =>
    path.startsWith(guestFolder) ? join(folder, relative(guestFolder, path)) : undefined;
  const box = join(folder, '.busybox');
  copyFileSync(busybox, box);
  chmodSync(box, 0o755);
  const commands = calls.flatMap(({ request }) => request.process?.Args ?? []);
  for (const { request } of calls) {
    for (const { driver, source } of request.storages ?? []) {
      const path = driver === 'watchable-bind' ? hostPath(source) : undefined;
      if (path !== undefined) {
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, 'key'), 'value');
      }
    }
    if (request.OCI === undefined || request.OCI === null) continue;
    const { Root, Process, Mounts } = request.OCI;
    const root = hostPath(Root.Path);
    if (root === undefined) continue;
    makeRoot(root, box);
    standIn(root, Process.Args[0] ?? '', 'while :; do sleep 1; done');
    // What the shell of an init container runs.
    standIn(root, 'iptables', 'exit 0');
    for (const command of commands.filter((text) => text !== '')) {
      if (!/[\s']/.test(command)) standIn(root, command, 'exit 0');
    }
    for (const { type, source, destination } of Mounts) {
      const path = type === 'bind' ? hostPath(source) : undefined;
      if (path === undefined || source.includes('/watchable/')) continue;
      if (files.has(basename(destination))) writeFileSync(made(path), '');
      else mkdirSync(path, { recursive: true });
    }
  }
}

function makeRoot(root: string, box: string): void {
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'run'])
    mkdirSync(join(root, name), { recursive: true });
  linkSync(box, join(root, 'bin/busybox'));
  for (const applet of ['sh', 'sleep', 'cat', 'echo', 'true'])
    symlinkSync('busybox', join(root, 'bin', applet));
}

/** A program that does nothing, unless there is one of that name. */
function standIn(root: string, name: string, does: string): void {
  const path = join(root, name.startsWith('/') ? name : join('bin', name));
  if (name === '' || name.startsWith('-') || existsSync(path) || isLink(path)) return;
  writeFileSync(made(path), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function made(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
