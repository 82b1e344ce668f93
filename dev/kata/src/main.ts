// `npm run kata -- [OPTIONS]`: runs Kata's own clients and tests against this agent.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { commandLine } from '@kata-agent/tool-command/command-line';
import { kataVersion, versionOf } from './plan/run-program.js';
import { describeProgram, inspectProgram, type KataProgram, programRoles } from './plan/kata-program.js';
import { kataOptions, type KataRequest, usage } from './options.js';
import { type PartContext, type PartResult, PartSkipped, runPart, type TestResult } from './plan/part.js';
import { runAgentCtl } from './parts/agent-ctl.js';
import { runBats, runGenpolicy } from './parts/kata-tests.js';
import { runRemote } from './parts/remote.js';
import { runShim } from './parts/shim.js';
import { runWorkloads } from './parts/workloads.js';
import { needsRoot, type PartName, planParts } from './plan/plan.js';
import { type Report, tableText } from './plan/table.js';

/** The command line, and what the programs in it are. */
interface Command {
  readonly help?: false;
  readonly options: KataRequest;
  readonly programs: readonly KataProgram[];
}

const run: Readonly<Record<PartName, (context: PartContext) => Promise<readonly TestResult[]>>> = {
  'agent-ctl': runAgentCtl,
  bats: runBats,
  shim: runShim,
  remote: runRemote,
  workloads: runWorkloads,
  genpolicy: runGenpolicy,
};

const { options, programs } = commandLine<Command | { readonly help: true }>(usage, (words) => {
  const parsed = kataOptions(words);
  if (parsed.help === true) return parsed;
  const given = programRoles.flatMap((role) => {
    const path = parsed.programs[role];
    return path === undefined ? [] : [inspectProgram(role, path)];
  });
  return { options: parsed, programs: given };
});
const program = (role: KataProgram['role']): KataProgram | undefined =>
  programs.find((each) => each.role === role);
const plan = planParts(options.parts, {
  has: (need) => {
    if (need === 'source') return options.source !== undefined;
    if (need === 'remote-configuration') return options.remoteConfiguration !== undefined;
    return program(need) !== undefined;
  },
  shimKind: program('shim')?.kind,
});
if (needsRoot(plan) && process.getuid?.() !== 0) {
  console.error('this command needs root, for namespaces and containers\nhelp: run it with sudo');
  process.exit(2);
}
const printProgress = (text: string): void => console.error(`• ${text}`);
const work = mkdtempSync(join(tmpdir(), 'kata-'));
// Children have this process as the receiver of their pdeathsig.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    removeWork();
    process.exit(1);
  });
const parts: PartResult[] = [];
try {
  for (const each of programs) printProgress(describeProgram(each));
  for (const { part, skip } of plan) {
    printProgress(part);
    const result = await runPart(part, async () => {
      if (skip !== undefined) throw new PartSkipped(skip);
      return await run[part]({
        source: options.source,
        programs: Object.fromEntries(programs.map((each) => [each.role, each])),
        remoteConfiguration: options.remoteConfiguration,
        work,
        workloads: options.workloads,
        printProgress,
      });
    });
    if (result.outcome === 'failed' && result.reason !== undefined) console.error(result.reason);
    parts.push(result);
  }
} finally {
  removeWork();
}
const report: Report = {
  date: new Date().toISOString().slice(0, 10),
  versions: {
    'kata-agent': versionOf('git', '-C', root, 'rev-parse', '--short=10', 'HEAD'),
    "Kata's source": options.source === undefined ? 'not given' : kataVersion(options.source),
    containerd: versionOf('containerd', '--version')?.split(' ')[2],
    runc: versionOf('runc', '--version')?.split(' ')[2],
    bats: versionOf('bats', '--version')?.split(' ')[1],
    'Node.js': process.versions.node,
  },
  programs,
  parts,
};
console.log(options.format === 'json' ? JSON.stringify(report, null, 2) : tableText(report));
const failed = parts.some(({ outcome }) => outcome === 'failed' || (options.strict && outcome === 'skipped'));
process.exitCode = failed ? 1 : 0;

function removeWork(): void {
  if (options.keep) printProgress(`kept ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
