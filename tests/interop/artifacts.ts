import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { whyWithout } from '../harness/prerequisites.js';
import { isRecord } from './is-record.js';

/** The checkout's directory, from this file's compiled form (tests/dist/interop). */
export const root: string = fileURLToPath(new URL('../../..', import.meta.url));

export type Artifact =
  | 'interop.binpb'
  | 'kata.binpb'
  | 'peer-server'
  | 'peer-client'
  | 'agent-client'
  | 'inner-agent'
  | 'bench-scale'
  | 'tls-peer'
  | 'tlog-peer'
  | 'capture';

/** Programs beside our own code: paths by name, or why they are not available. */
export type Built =
  | { readonly ok: true; readonly path: (name: Artifact) => string }
  | { readonly ok: false; readonly missing: string };

/** Returns the Debian packages that building needs. */
function needsOf(name: Artifact): readonly string[] {
  if (name.endsWith('.binpb')) return [];
  if (name === 'tlog-peer') return ['golang-go', 'golang-golang-x-mod-dev'];
  return ['golang-go', 'golang-github-containerd-ttrpc-dev', 'golang-google-protobuf-dev'];
}

/** Builds Go programs and descriptor sets (tests/interop/build.mjs). Throws if a build fails; see also whyWithout. */
export function build(...names: readonly Artifact[]): Built {
  const script = `${root}/tests/interop/build.mjs`;
  const missing = whyWithout(...new Set(names.flatMap(needsOf)));
  if (missing !== undefined) return { ok: false, missing };
  const result = spawnSync(process.execPath, [script, ...names], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(result.stderr.trim());
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
