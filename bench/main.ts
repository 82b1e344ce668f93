// `npm run bench [-- --quick] [--format json] [--only calls|decision|rules|startup|container|hostile|waits|boot]`
// `npm run bench -- --profile`: where our server's time goes, instead of how much it is
// `--missing NAME,…`: Debian packages that are not there (scripts/bench.mjs); parts that need them fail
import { parseArgs } from 'node:util';

import { endChildren } from './children.js';
import { goPrograms } from './go-programs.js';
import { allParts } from './parts.js';
import { profileCalls } from './profile.js';
import { jsonReport, textReport } from './report.js';
import { runParts } from './run-parts.js';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    format: { type: 'string', default: 'text' },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
    missing: { type: 'string', default: '' },
  },
});
const { quick, format, only } = values;
const parts = allParts(quick);
if (only !== undefined && parts.every(({ name }) => name !== only)) {
  console.error(`--only ${only}: known are ${parts.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
if (format !== 'text' && format !== 'json') {
  console.error(`--format ${format}: text or json`);
  process.exit(2);
}

if (values.profile) {
  for (const method of ['WaitProcess', 'ReadStdout']) {
    console.log(`${await profileCalls(goPrograms(), method, 16)}\n`);
  }
} else process.exit(await measureAll());

/** Returns the exit code: 1 when a part failed. */
async function measureAll(): Promise<number> {
  // Synchronous on Linux, whatever stdout is. A reader that has gone has enough.
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
  const failed = await runParts(
    parts.filter(({ name }) => only === undefined || only === name),
    {
      missing: new Set(values.missing.split(',')),
      begun: (part) => {
        current = part;
        console.error(`• ${part}`);
      },
      report: (outcome) => {
        report.add(outcome);
        // What a part that failed has left running would be in the figures of the next.
        endChildren();
      },
      late: (error) => console.error(`after its part: ${String(error)}`),
    },
  );
  report.end();
  if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`);
  return failed.length > 0 ? 1 : 0;
}
