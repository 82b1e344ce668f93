import type { Workload } from '../pod/workload.js';

/** What stands behind the name of a workload in the names of its pods; a sample, whatever the kind. */
const sampleSuffix = 'x7k2p';

/** Names of pods are cut so that what is appended fits: as much of a workload's name as is always there. */
const certain = 40;

/** The name of one pod of the workload: its own, or a sample. */
export function samplePodName({ name, namesPods }: Workload): string {
  if (!namesPods) return name;
  return name === '' || name.endsWith('-')
    ? name + sampleSuffix
    : `${name.slice(0, certain)}-${sampleSuffix}`;
}

/** RE2 for the names of the workload's pods. */
export function podNames({ name, namesPods }: Workload): string {
  return namesPods ? `${literal(name.slice(0, certain))}[a-z0-9.-]*` : literal(name);
}

/** What such a pod has for a host name; Linux has 64 characters for it, Kubernetes takes 63. */
export function sampleHostname(workload: Workload): string {
  return cut(workload.hostname ?? samplePodName(workload));
}

/** RE2 for the host names of the workload's pods. */
export function hostnames(workload: Workload): string {
  const { hostname, name, namesPods, hostnameHasDomain } = workload;
  const host = hostname === undefined && namesPods ? podNames(workload) : literal(cut(hostname ?? name));
  return host + (hostnameHasDomain ? '([.][a-z0-9.-]+)?' : '');
}

function cut(name: string): string {
  return name.slice(0, 63).replace(/[-.]+$/, '');
}

/** Letters that mean nothing else in RE2; names of Kubernetes have no others but the full stop. */
function literal(text: string): string {
  return text.replace(/[^A-Za-z0-9_-]/g, (letter) =>
    letter === '.' ? '[.]' : `\\x{${(letter.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
