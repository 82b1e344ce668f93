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
    readonly storages?: readonly {
      readonly driver: string;
      readonly source: string;
      readonly fstype: string;
      readonly options: readonly string[];
    }[];
    readonly devices?: readonly { readonly type: string; readonly options: readonly string[] }[];
    readonly process?: { readonly Args: readonly string[] } | null;
    /** Of CreateSandbox. */
    readonly hostname?: string;
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

const guestDirectory = '/run/kata-containers/shared/containers/';
const busybox = '/usr/bin/busybox';
const files: ReadonlySet<string> = new Set(['hosts', 'hostname', 'resolv.conf', 'termination-log']);

/**
 * Creates the files that the host shares with a pod in a directory that replaces the shared file system: busybox roots
 * instead of images, with a fake for each program of the pod, and empty files and directories for its volumes.
 */
export function makeShare(directory: string, calls: readonly ListedCall[]): void {
  const hostPath = (path: string): string | undefined =>
    path.startsWith(guestDirectory) ? join(directory, relative(guestDirectory, path)) : undefined;
  const box = copyBusybox(join(directory, '.busybox'));
  const hostname = calls.find(({ request }) => request.hostname !== undefined)?.request.hostname ?? '';
  for (const { request } of calls) {
    for (const { driver, source } of request.storages ?? []) {
      const path = driver === 'watchable-bind' ? hostPath(source) : undefined;
      if (path !== undefined) {
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, 'key'), 'value');
      }
    }
    if (request.OCI === undefined || request.OCI === null) continue;
    const { Root, Mounts } = request.OCI;
    const root = hostPath(Root.Path);
    if (root === undefined) continue;
    makePodRoot(root, box, calls);
    for (const { type, source, destination } of Mounts) {
      const path = type === 'bind' ? hostPath(source) : undefined;
      if (path === undefined || source.includes('/watchable/')) continue;
      if (files.has(basename(destination)))
        writeFileSync(withParents(path), destination === '/etc/hostname' ? hostname : '');
      else mkdirSync(path, { recursive: true });
    }
  }
}

/** Creates the root of an image that a guest pulls for any container of the pod, as `makeShare` does. */
export function makeImage(directory: string, calls: readonly ListedCall[]): void {
  const box = copyBusybox(`${directory}.busybox`);
  makePodRoot(directory, box, calls);
}

function copyBusybox(path: string): string {
  copyFileSync(busybox, path);
  chmodSync(path, 0o755);
  return path;
}

/** Each root has the programs of all containers: layers have the files of all roots. */
function makePodRoot(root: string, box: string, calls: readonly ListedCall[]): void {
  makeRoot(root, box);
  for (const { request } of calls) {
    const program = request.OCI?.Process.Args[0];
    if (program !== undefined) makeFakeProgram(root, program, 'while :; do sleep 1; done');
  }
  // Commands of an init container's shell.
  makeFakeProgram(root, 'iptables', 'exit 0');
  for (const command of calls.flatMap(({ request }) => request.process?.Args ?? []))
    if (command !== '' && !/[\s']/.test(command)) makeFakeProgram(root, command, 'exit 0');
}

function makeRoot(root: string, box: string): void {
  for (const name of ['bin', 'proc', 'dev', 'sys', 'tmp', 'etc', 'run'])
    mkdirSync(join(root, name), { recursive: true });
  linkSync(box, join(root, 'bin/busybox'));
  for (const applet of ['sh', 'sleep', 'cat', 'echo', 'true'])
    symlinkSync('busybox', join(root, 'bin', applet));
}

/** Creates a shell script in a root, unless a program with the name exists. */
function makeFakeProgram(root: string, name: string, script: string): void {
  const path = join(root, name.startsWith('/') ? name : join('bin', name));
  if (name === '' || name.startsWith('-') || existsSync(path) || isLink(path)) return;
  writeFileSync(withParents(path), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function withParents(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  return path;
}
