import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { isRecord } from './is-record.js';

/** The checkout's folder, seen from this file's compiled form (tests/dist/interop). */
export const root: string = fileURLToPath(new URL('../../..', import.meta.url));

export type Artifact =
  | 'interop.binpb'
  | 'kata.binpb'
  | 'peer-server'
  | 'peer-client'
  | 'agent-client'
  | 'capture';

/** What a test needs beside our own code: paths by name, or why they cannot be had. */
export type Built =
  | { readonly ok: true; readonly path: (name: Artifact) => string }
  | { readonly ok: false; readonly missing: string };

/** tests/interop/build.mjs exits with this code when Go or its library is missing. */
const exitMissing = 3;

/**
 * Builds Go programs and descriptor sets (tests/interop/build.mjs).
 * Throws when a build fails; and with CI=true also when a prerequisite is missing, which is otherwise for skipping.
 */
export function build(...names: readonly Artifact[]): Built {
  const script = `${root}/tests/interop/build.mjs`;
  const result = spawnSync(process.execPath, [script, ...names], { encoding: 'utf8' });
  const missing = result.stderr.trim();
  if (result.status === exitMissing && process.env['CI'] !== 'true') return { ok: false, missing };
  if (result.status !== 0) throw new Error(missing);
  const paths: unknown = JSON.parse(result.stdout);
  return {
    ok: true,
    path: (name) => {
      const path = isRecord(paths) ? paths[name] : undefined;
      if (typeof path !== 'string') throw new Error(`${name} was not asked for`);
      return path;
    },
  };
}
