// `npm run kata -- --source DIR [OPTIONS]`: runs Kata's own clients and tests against this agent.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';
import { commandLine } from '@kata-agent/tool-command/command-line';
import { copyCheckout, kataVersion } from './checkout.js';
import { kataOptions, type PartName, usage } from './options.js';
import { type PartContext, type PartResult, runPart, type TestResult } from './part.js';
import { runAgentCtl } from './parts/agent-ctl.js';
import { runBats } from './parts/bats.js';
import { runGenpolicy } from './parts/genpolicy.js';
import { runRemote } from './parts/remote.js';
import { runRs } from './parts/rs.js';
import { runShim } from './parts/shim.js';
import { runWorkloads } from './parts/workloads.js';
import { versionOf } from './program.js';
import { type Report, tableText } from './table.js';

const run: Readonly<Record<PartName, (context: PartContext) => Promise<readonly TestResult[]>>> = {
  'agent-ctl': runAgentCtl,
  bats: runBats,
  rs: runRs,
  shim: runShim,
  remote: runRemote,
  workloads: runWorkloads,
  genpolicy: runGenpolicy,
};

const options = commandLine(usage, kataOptions);
if (process.getuid?.() !== 0) {
  console.error('this command needs root, for namespaces and containers\nhelp: run it with sudo');
  process.exit(2);
}
const printProgress = (text: string): void => console.error(`• ${text}`);
const work = mkdtempSync(join(tmpdir(), 'kata-'));
// Children have this process as the receiver of their pdeathsig, and the builds' processes end by themselves.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    removeWork();
    process.exit(1);
  });
const parts: PartResult[] = [];
try {
  const copy = join(work, 'source');
  printProgress(`copying ${options.source}`);
  copyCheckout(options.source, copy);
  for (const part of options.parts) {
    printProgress(part);
    const result = await runPart(part, () =>
      run[part]({ copy, work, agentCtl: options.agentCtl, workloads: options.workloads, printProgress }),
    );
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
    Kata: kataVersion(options.source),
    rustc: versionOf('rustc', '--version')?.split(' ')[1],
    go: versionOf('go', 'env', 'GOVERSION')?.slice(2),
    containerd: versionOf('containerd', '--version')?.split(' ')[2],
    runc: versionOf('runc', '--version')?.split(' ')[2],
    bats: versionOf('bats', '--version')?.split(' ')[1],
    'Node.js': process.versions.node,
  },
  parts,
};
console.log(options.format === 'json' ? JSON.stringify(report, null, 2) : tableText(report));
const failed = parts.some(({ outcome }) => outcome === 'failed' || (options.strict && outcome === 'skipped'));
process.exitCode = failed ? 1 : 0;

function removeWork(): void {
  if (options.keep) printProgress(`kept ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
