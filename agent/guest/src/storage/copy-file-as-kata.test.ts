import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls } from '@kata-agent/linux';
import type { CopyFile } from '../request/actions.js';
import { translated } from '../guest-error.js';
import { admitCopy } from './copy-admission.js';
import { copyFile } from './copy-file.js';
import { directMedia } from '../media-thread/direct-media.js';

const file = 0o100000;
const directory = 0o040000;
const link = 0o120000;

interface Case {
  readonly path: string;
  readonly fileMode: number;
  readonly dirMode?: number;
  readonly data?: string;
  readonly fileSize?: number;
  readonly offset?: number;
  /** The call must fail. */
  readonly fails?: true;
  /** Type and mode of paths after the call; undefined: nothing is there. */
  readonly modes: Readonly<Record<string, number | undefined>>;
  /** Content of a file, or target of a link, after the call. */
  readonly content?: Readonly<Record<string, string>>;
}

/** The calls, in order, and results that Kata's own test of CopyFile has (Kata 4.1, src/agent/src/rpc.rs, `mod tests`). */
const cases: readonly Case[] = [
  { path: 'f', fileMode: file | 0o644, modes: { f: file | 0o644 }, content: { f: '' } },
  { path: 'f', fileMode: file | 0o600, data: 'Hello!', modes: { f: file | 0o600 }, content: { f: 'Hello!' } },
  {
    path: 'a/b',
    fileMode: file | 0o644,
    dirMode: directory | 0o755,
    modes: { a: directory | 0o755, 'a/b': file | 0o644 },
  },
  {
    path: 'a/c',
    fileMode: file | 0o621,
    dirMode: directory | 0o700,
    modes: { a: directory | 0o755, 'a/c': file | 0o621 },
  },
  {
    path: 'a/d',
    fileMode: directory | 0o755,
    dirMode: directory | 0o700,
    modes: { a: directory | 0o755, 'a/d': directory | 0o755 },
  },
  { path: 'a/b', fileMode: directory | 0o755, dirMode: 0o700, modes: { 'a/b': directory | 0o755 } },
  { path: 'a/b', fileMode: file | 0o644, dirMode: 0o755, modes: { 'a/b': file | 0o644 } },
  { path: 'a', fileMode: directory | 0o751, modes: { a: directory | 0o751, 'a/b': file | 0o644 } },
  {
    path: 'a/link',
    fileMode: link | 0o755,
    data: '/etc/passwd',
    fileSize: 0,
    modes: { 'a/link': link | 0o777 },
    content: { 'a/link': '/etc/passwd' },
  },
  {
    path: 'x/y',
    fileMode: directory | 0o3770,
    dirMode: directory | 0o3755,
    modes: { x: directory | 0o755, 'x/y': directory | 0o3770 },
  },
  {
    path: 'x/pieces',
    fileMode: file | 0o644,
    data: 'Hello ',
    fileSize: 11,
    modes: { 'x/pieces': undefined },
  },
  {
    path: 'x/pieces',
    fileMode: file | 0o644,
    data: 'World',
    fileSize: 11,
    offset: 6,
    modes: { 'x/pieces': file | 0o644 },
    content: { 'x/pieces': 'Hello World' },
  },
  {
    path: 'a/link/below',
    fileMode: link | 0o755,
    data: 'any',
    fails: true,
    modes: { 'a/link': link | 0o777 },
    content: { 'a/link': '/etc/passwd' },
  },
  {
    path: 'a/link',
    fileMode: link | 0o755,
    data: '/etc',
    fileSize: 0,
    modes: { a: directory | 0o751, 'a/link': link | 0o777 },
    content: { 'a/link': '/etc' },
  },
  {
    path: 'a/link',
    fileMode: file | 0o600,
    data: 'Hello!',
    modes: { 'a/link': file | 0o600 },
    content: { 'a/link': 'Hello!' },
  },
  // As seen beside Kata's agent: set-user-ID and set-group-ID of a file are dropped, whatever order chmod and chown have.
  { path: 'a/setuid', fileMode: file | 0o4755, modes: { 'a/setuid': file | 0o755 } },
  { path: 'a/setgid', fileMode: file | 0o2755, modes: { 'a/setgid': file | 0o755 } },
  { path: 'a/both', fileMode: file | 0o7711, data: 'x', modes: { 'a/both': file | 0o1711 } },
  { path: 'a/shared', fileMode: directory | 0o2775, modes: { 'a/shared': directory | 0o2775 } },
  { path: '../beside', fileMode: file | 0o600, fails: true, modes: { '../beside': undefined } },
];

test('CopyFile has the results that Kata’s own test expects', async () => {
  const kata = mkdtempSync(join(tmpdir(), 'guest-copy-'));
  try {
    const shared = join(kata, 'shared/containers');
    mkdirSync(shared, { recursive: true });
    for (const [index, each] of cases.entries()) {
      const named = `call ${index + 1}, ${each.path}`;
      const call = translated(async () => {
        const copy = admitCopy({ action: actionOf(each, shared), kata, refuseRoot: () => undefined });
        const syscalls = loadSyscalls();
        await copyFile(copy, {
          syscalls,
          media: directMedia(syscalls),
          paths: { kata },
          log: () => undefined,
        });
      });
      if (each.fails === true) await assert.rejects(call, named);
      else await call;
      for (const [path, mode] of Object.entries(each.modes))
        assert.equal(
          lstatSync(join(shared, path), { throwIfNoEntry: false })?.mode,
          mode,
          `${named}: ${path}`,
        );
      for (const [path, expected] of Object.entries(each.content ?? {}))
        assert.equal(contentOf(join(shared, path)), expected, `${named}: ${path}`);
    }
  } finally {
    rmSync(kata, { recursive: true });
  }
});

function actionOf(
  { path, fileMode, dirMode = 0, data = '', fileSize, offset = 0 }: Case,
  shared: string,
): CopyFile {
  return {
    path: `${shared}/${path}`,
    fileMode,
    dirMode,
    data: Buffer.from(data),
    fileSize: fileSize ?? Buffer.byteLength(data),
    offset,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  };
}

function contentOf(path: string): string {
  return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : readFileSync(path, 'utf8');
}
