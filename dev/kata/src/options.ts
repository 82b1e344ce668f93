// The command line of `npm run kata`.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { existingDirectory, existingFile, parseOptions } from '@kata-agent/tool-command/options';
import { workloads } from './workloads/workloads.js';

/** The parts of Kata that run against this agent, in the order in which they run. */
export const partNames = ['agent-ctl', 'bats', 'rs', 'shim', 'remote', 'workloads', 'genpolicy'] as const;
export type PartName = (typeof partNames)[number];

/** The options of `npm run kata`. Paths are absolute. */
export interface KataRequest {
  readonly help?: false;
  /** The checkout of Kata's source. */
  readonly source: string;
  readonly parts: readonly PartName[];
  readonly format: 'table' | 'json';
  /** A skipped part counts as failed. */
  readonly strict: boolean;
  /** A `kata-agent-ctl` of Kata that is used instead of building one. */
  readonly agentCtl?: string;
  /** The pods of the part workloads. Empty: all. */
  readonly workloads: readonly string[];
  /** Keep the directory with the builds and the logs. */
  readonly keep: boolean;
}

export const usage: string = `npm run kata -- --source DIR [OPTIONS]
  --source DIR       a checkout of Kata's source; it is copied, not changed
  --only PART        run one part: ${partNames.join(', ')}; may be repeated; default: all
  --workload NAME    run this pod of the part workloads; may be repeated; default: all
  --agent-ctl FILE   use this kata-agent-ctl of Kata (of its release, for example) instead of building it
  --format FORMAT    table or json; default: table
  --strict           exit with 1 if a part is skipped
  --keep             keep the directory with the builds and the logs, and print its path
  --compiled         skip compiling and installing npm packages
  --help             print this help
Builds Kata's clients in a copy of the checkout and runs them against this agent, in namespaces of their own. Needs root.
  agent-ctl   Kata's command line client of the agent: cargo
  bats        tests/functional/kata-agent-apis: agent-ctl, bats; with skopeo and umoci also the test that pulls an image
  rs          the tests of runtime-rs's agent crate: cargo
  shim        the Go shim under containerd, through CRI: go, containerd, runc, busybox-static
  remote      the same shim with its remote hypervisor, as for peer pods: as shim, docker-registry, skopeo
  workloads   the pods of its Kubernetes tests, through the same shim: as shim
  genpolicy   the request cases of genpolicy's tests: nothing
cargo and go use the configuration of this user: dependencies come from there, or from vendor directories of the
checkout (Kata's releases have an archive of them). A part that cannot be built is skipped with its reason.
The exit code is 0 if no part failed, 1 if one did, and 2 for a usage error.
Example: npm run kata -- --source ~/src/kata-containers --only shim`;

/** Parses the command line. Throws an error with a message for the user if it is not valid. */
export function kataOptions(words: readonly string[]): KataRequest | { readonly help: true } {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseOptions(words, {
    source: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] as string[] },
    workload: { type: 'string', multiple: true, default: [] as string[] },
    'agent-ctl': { type: 'string' },
    format: { type: 'string', default: 'table' },
    strict: flag,
    keep: flag,
    compiled: flag,
  });
  if (values.help) return { help: true };
  if (values.source === undefined)
    throw new Error('--source is missing: the directory of a checkout of Kata');
  const source = existingDirectory('--source', values.source);
  if (statSync(join(source, 'src', 'libs', 'protocols'), { throwIfNoEntry: false }) === undefined)
    throw new Error(
      `--source ${values.source}: this is not a checkout of Kata: src/libs/protocols is missing`,
    );
  const format = values.format;
  if (format !== 'table' && format !== 'json') throw new Error(`--format ${format}: expected table or json`);
  const only = values.only.map(partName);
  return {
    source,
    parts: only.length === 0 ? partNames : partNames.filter((name) => only.includes(name)),
    format,
    strict: values.strict,
    workloads: values.workload.map(workloadName),
    keep: values.keep,
    ...(values['agent-ctl'] === undefined
      ? {}
      : { agentCtl: existingFile('--agent-ctl', values['agent-ctl']) }),
  };
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
