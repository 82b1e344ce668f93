import { createHash } from 'node:crypto';
import type { Workload } from '../pod/workload.js';

/** A sample of the suffix in names of a workload's pods. */
const sampleSuffix = 'x7k2p';

/** Kubernetes truncates the workload's name to append a suffix; this many characters are always kept. */
const certain = 40;

/** Returns the name of one pod of the workload: its own, or a sample. */
export function samplePodName({ name, namesPods }: Workload): string {
  if (!namesPods) return name;
  return name === '' || name.endsWith('-')
    ? name + sampleSuffix
    : `${name.slice(0, certain)}-${sampleSuffix}`;
}

/** Returns an RE2 pattern for the names of the workload's pods. */
export function podNames({ name, namesPods }: Workload): string {
  return namesPods ? `${literal(name.slice(0, certain))}[a-z0-9.-]*` : literal(name);
}

/** Returns the host name of such a pod; Linux allows 64 characters, Kubernetes 63. */
export function sampleHostname(workload: Workload): string {
  return cut(workload.hostname ?? samplePodName(workload));
}

/** Returns an RE2 pattern for the host names of the workload's pods. */
export function hostnames(workload: Workload): string {
  const { hostname, name, namesPods, hostnameHasDomain } = workload;
  const host = hostname === undefined && namesPods ? podNames(workload) : literal(cut(hostname ?? name));
  return host + (hostnameHasDomain ? '([.][a-z0-9.-]+)?' : '');
}

function cut(name: string): string {
  return name.slice(0, 63).replace(/[-.]+$/, '');
}

/** Escapes a Kubernetes name for RE2: only the full stop is special. */
function literal(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, (letter) =>
    letter === '.' ? '[.]' : `\\x{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** Returns an ID in the form of container engines, deterministic for the same words. */
export function sampleId(...words: readonly string[]): string {
  return createHash('sha256').update(words.join('\0')).digest('hex');
}
