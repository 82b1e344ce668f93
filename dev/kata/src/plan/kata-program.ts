// Programs of Kata that the user gives: what each is.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The programs of Kata that can be given, each with the option of its name. */
export const programRoles = ['shim', 'agent-ctl', 'agent'] as const;
export type ProgramRole = (typeof programRoles)[number];

/** Of `containerd-shim-kata-v2`: written in Go, or runtime-rs. */
export type ShimKind = 'Go' | 'runtime-rs';

/** What a program says of itself. */
export interface StatedVersion {
  readonly version: string;
  /** Of the shim. */
  readonly kind?: ShimKind;
  readonly commit?: string;
}

/** A program that was given. */
export interface KataProgram extends StatedVersion {
  readonly role: ProgramRole;
  readonly path: string;
  readonly sha256: string;
}

/** The programs of a run; absent: not given. */
export type KataPrograms = Readonly<Partial<Record<ProgramRole, KataProgram>>>;

const forms: Readonly<Record<ProgramRole, { readonly what: string; readonly pattern: RegExp }>> = {
  shim: {
    what: "Kata's containerd-shim-kata-v2",
    pattern:
      /containerd shim \((?<kind>Golang|Rust)\): id: \S+, version: (?<version>[^\s,]+), commit: (?<commit>\S+)/,
  },
  'agent-ctl': { what: "Kata's kata-agent-ctl", pattern: /^kata-agent-ctl (?<version>\d\S*)$/m },
  agent: {
    what: "Kata's kata-agent",
    pattern:
      /^kata-agent version (?<version>\S+) \(api version: \S+, commit version: (?<commit>[^\s,]+), type: rust/m,
  },
};

/** Parses what a program prints for `--version`. Undefined: it is not that program. Pure. */
export function parseVersion(role: ProgramRole, output: string): StatedVersion | undefined {
  const { version, commit, kind } = forms[role].pattern.exec(output)?.groups ?? {};
  if (version === undefined) return undefined;
  return {
    version,
    ...(kind === undefined ? {} : { kind: kind === 'Golang' ? 'Go' : 'runtime-rs' }),
    ...(commit === undefined ? {} : { commit }),
  };
}

/** Returns what a program is. Throws an Error with a message for the user if it is not the one of its option. */
export function inspectProgram(role: ProgramRole, path: string): KataProgram {
  const { error, stdout, stderr } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  const stated = error === undefined ? parseVersion(role, stdout) : undefined;
  if (stated === undefined) {
    const printed =
      error?.message ?? JSON.stringify(`${stdout}${stderr}`.trim().split('\n')[0]?.slice(0, 200));
    throw new Error(`--${role} ${path}: it is not ${forms[role].what}, which states its version: ${printed}`);
  }
  return { role, path, sha256: createHash('sha256').update(readFileSync(path)).digest('hex'), ...stated };
}

/** Returns one line that says what a program is. */
export function describeProgram({ role, path, sha256, version, kind, commit }: KataProgram): string {
  const of = [kind, version, commit === undefined ? undefined : `(${commit})`];
  return `${role}: ${of.filter((word) => word !== undefined).join(' ')}, ${path}, sha256:${sha256}`;
}
