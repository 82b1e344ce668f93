// For usage see `npm run bench -- --help`.
// `--missing NAME,…`: Debian packages that are not there (scripts/bench.mjs); parts that need them fail
import { parseArgs } from 'node:util';

import { commitOf, measureAgainst, renderComparisons } from './against.js';
import { endChildren } from './children.js';
import { measureBudget } from './budget-parts.js';
import { chosenParts } from './part.js';
import { allParts } from './parts.js';
import { pinToProcessors } from './processors.js';
import { profilePart } from './profile.js';
import { jsonReport, textReport } from './report.js';
import { runParts } from './run-parts.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    format: { type: 'string', default: 'text' },
    only: { type: 'string' },
    against: { type: 'string' },
    agent: { type: 'string' },
    containers: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '60' },
    budget: { type: 'boolean', default: false },
    processors: { type: 'string' },
    profile: { type: 'boolean', default: false },
    missing: { type: 'string', default: '' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
const { quick, format, only } = values;
const size = { containers: Number(values.containers), minutes: Number(values.minutes) };
const parts = allParts({ quick, peer: values.agent, size });
const chosen = chosenParts(parts, only);
const known = [
  ...new Set(parts.flatMap(({ name, group }) => (group === undefined ? [name] : [group, name]))),
].join(', ');
if (values.help) {
  console.log(`Usage: npm run bench [-- OPTIONS]

Measures this agent beside its peers, in one run, and prints ratios. Example: npm run bench -- --quick --only calls

  --only PART            ${known}.
                         Without it all but the parts of \`scale\`, which take more than an hour together
  --quick                fewer rounds
  --format text|json
  --against COMMIT       measures this checkout, a commit, and this checkout again, in turn, and prints the ratios
  --agent PATH           another agent, beside which the part \`agent\` measures ours: a program that serves the same API
                         at KATA_AGENT_SERVER_ADDR=unix://…, such as Kata's own. It is started as root, in namespaces
                         of its own: /run, /etc/kata-opa with a policy that allows everything, empty disks in /dev
  --containers N         how many containers scale-lives has in turn; 10,000 without it
  --minutes N            how long scale-calls calls 1,000 times a second; 60 without it
  --budget               measures only what bench/budget-table.ts has bounds for, in about a minute; exits with 1 if one is
                         missed three times. A goal is what we want to reach; a bound is what no change may miss
  --processors N         pins the benchmark and all that it starts to the first N processors
  --profile              with --only: a CPU profile of each agent that the part starts, or of the benchmark itself, instead of
                         figures: the functions with the most time of their own, and a flame graph`);
  process.exit(0);
}
if (chosen.length === 0) {
  console.error(`--only ${only}: known are ${known}`);
  process.exit(2);
}
for (const [name, value] of Object.entries(size))
  if (!Number.isSafeInteger(value) || value < 1) {
    console.error(`--${name}: a whole number above 0`);
    process.exit(2);
  }
if (format !== 'text' && format !== 'json') {
  console.error(`--format ${format}: text or json`);
  process.exit(2);
}
if (values.processors !== undefined) {
  try {
    console.error(`• pinned to processors ${pinToProcessors(Number(values.processors)).join(', ')}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}

if (values.budget) {
  endChildrenOnSignals();
  process.exit(await measureBudget(format));
} else if (values.against !== undefined) process.exit(await measureCommit(values.against));
else if (values.profile) process.exit(await profileChosen());
else process.exit(await measureAll());

/** Returns the exit code: 1 if the part failed, 2 without one. */
async function profileChosen(): Promise<number> {
  const [part, ...others] = chosen;
  if (part === undefined || others.length > 0) {
    console.error('--profile needs --only with one part');
    return 2;
  }
  endChildrenOnSignals();
  try {
    console.log(await profilePart(part));
    return 0;
  } catch (error) {
    endChildren();
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

function endChildrenOnSignals(): void {
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const)
    process.once(signal, () => {
      endChildren();
      process.exit(128 + number);
    });
}

/** Returns the exit code: 2 if there is no such commit. */
async function measureCommit(ref: string): Promise<number> {
  let commit: string;
  try {
    commit = commitOf(ref);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 2;
  }
  endChildrenOnSignals();
  const rows = await measureAgainst({
    commit,
    parts: chosen.map(({ name }) => name),
    quick,
    missing: values.missing,
    progress: (step) => console.error(`• ${step}`),
  });
  console.log(format === 'json' ? JSON.stringify(rows) : renderComparisons(ref, rows));
  return 0;
}

/** Returns the exit code: 1 if a part failed. */
async function measureAll(): Promise<number> {
  // Writes to stdout are synchronous on Linux for every kind of file. EPIPE is not an error: the reader has enough.
  const write = (text: string): void => void process.stdout.write(text);
  process.stdout.on('error', () => {
    endChildren();
    process.exit(1);
  });
  const report = format === 'json' ? jsonReport(write) : textReport(write);
  let current = '';
  for (const [signal, number] of [
    ['SIGHUP', 1],
    ['SIGINT', 2],
    ['SIGTERM', 15],
  ] as const) {
    process.once(signal, () => {
      report.add({ part: current, error: `interrupted by ${signal}` });
      report.end();
      endChildren();
      process.exit(128 + number);
    });
  }
  const failed = await runParts(chosen, {
    missing: new Set(values.missing.split(',')),
    begun: (part) => {
      current = part;
      console.error(`• ${part}`);
    },
    report: (outcome) => {
      report.add(outcome);
      // Programs that a failed part left running would affect the next part.
      endChildren();
    },
    late: (error) => console.error(`after its part: ${String(error)}`),
  });
  report.end();
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}
