// The command line of `npm run kata`.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { existingDirectory, existingFile, parseOptions } from '@kata-agent/tool-command/command-line';
import { type ProgramRole, programRoles } from './plan/kata-program.js';
import { type PartName, partNames } from './plan/plan.js';
import { workloads } from './workloads/workloads.js';

/** The options of `npm run kata`. Paths are absolute. */
export interface KataRequest {
  readonly help?: false;
  /** A checkout of Kata's source, for its tests. */
  readonly source?: string;
  /** Programs of Kata. */
  readonly programs: Readonly<Partial<Record<ProgramRole, string>>>;
  /** Kata's configuration-remote.toml. */
  readonly remoteConfiguration?: string;
  readonly parts: readonly PartName[];
  readonly format: 'table' | 'json';
  /** A skipped part counts as failed. */
  readonly strict: boolean;
  /** The pods of the part workloads. Empty: all. */
  readonly workloads: readonly string[];
  /** Keep the directory with the logs. */
  readonly keep: boolean;
}

export const usage: string = `npm run kata -- [OPTIONS]
  --shim FILE        Kata's containerd-shim-kata-v2, the Go one
  --agent-ctl FILE   Kata's kata-agent-ctl
  --agent FILE       Kata's kata-agent: the part agent-ctl runs with it too, for comparison
  --remote-configuration FILE   Kata's configuration-remote.toml of the same release, for the part remote
  --source DIR       a checkout of Kata's source, for its tests; it is not changed, and nothing in it is compiled
  --only PART        run one part: ${partNames.join(', ')}; may be repeated; default: all
  --workload NAME    run this pod of the part workloads; may be repeated; default: all
  --format FORMAT    table or json; default: table
  --strict           exit with 1 if a part is skipped
  --keep             keep the directory with the logs, and print its path
  --compiled         skip compiling and installing npm packages
  --help             print this help
Runs Kata's own clients and tests against this agent, with programs of a release or of your own. Each is named with its
version, path and SHA-256. A part is skipped with its reason if something that it needs is not given. Needs root, except for
genpolicy: agents and containerd run in namespaces of their own, with a root in which no file of this machine can be changed.
  agent-ctl   Kata's command line client of the agent: --agent-ctl
  bats        tests/functional/kata-agent-apis: --agent-ctl, --source; bats; with skopeo and umoci also the test that pulls an image
  shim        the Go shim under containerd 1.7 or 2, through CRI: --shim; containerd, runc, busybox-static, bindfs
  remote      the same shim with its remote hypervisor, as for peer pods: --shim, --remote-configuration; docker-registry, skopeo
  workloads   the pods of its Kubernetes tests, through the same shim: --shim, --source
  genpolicy   the request cases of genpolicy's tests: --source
The exit code is 0 if no part failed, 1 if one did, and 2 for a usage error.
Example: npm run kata -- --shim /opt/kata/bin/containerd-shim-kata-v2 --only shim`;

/** Parses the command line. Throws an error with a message for the user if it is not valid. */
export function kataOptions(words: readonly string[]): KataRequest | { readonly help: true } {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseOptions(words, {
    source: { type: 'string' },
    shim: { type: 'string' },
    'agent-ctl': { type: 'string' },
    agent: { type: 'string' },
    'remote-configuration': { type: 'string' },
    only: { type: 'string', multiple: true, default: [] as string[] },
    workload: { type: 'string', multiple: true, default: [] as string[] },
    format: { type: 'string', default: 'table' },
    strict: flag,
    keep: flag,
    compiled: flag,
  });
  if (values.help) return { help: true };
  const format = values.format;
  if (format !== 'table' && format !== 'json') throw new Error(`--format ${format}: expected table or json`);
  const only = values.only.map(partName);
  const programs = Object.fromEntries(
    programRoles.flatMap((role) => {
      const path = values[role];
      return path === undefined ? [] : [[role, existingFile(`--${role}`, path)] as const];
    }),
  );
  const { source, 'remote-configuration': remote } = values;
  if (source === undefined && values.shim === undefined && values['agent-ctl'] === undefined)
    throw new Error('nothing of Kata is given to run: --shim, --agent-ctl or --source is missing');
  return {
    programs,
    ...(source === undefined ? {} : { source: checkout(source) }),
    ...(remote === undefined ? {} : { remoteConfiguration: existingFile('--remote-configuration', remote) }),
    parts: only.length === 0 ? partNames : partNames.filter((name) => only.includes(name)),
    format,
    strict: values.strict,
    workloads: values.workload.map(workloadName),
    keep: values.keep,
  };
}

function checkout(path: string): string {
  const source = existingDirectory('--source', path);
  if (statSync(join(source, 'src', 'libs', 'protocols'), { throwIfNoEntry: false }) === undefined)
    throw new Error(`--source ${path}: this is not a checkout of Kata: src/libs/protocols is missing`);
  return source;
}

function workloadName(text: string): string {
  if (workloads.some(({ name }) => name === text)) return text;
  throw new Error(`--workload ${text}: not one of ${workloads.map(({ name }) => name).join(', ')}`);
}

function partName(text: string): PartName {
  const name = partNames.find((one) => one === text);
  if (name === undefined) throw new Error(`--only ${text}: expected one of ${partNames.join(', ')}`);
  return name;
}
