// `npm run support [-- --at YYYY-MM-DD]`: what ends of what we take from others (scripts/support-calendar.mjs).
//
// The exit code is 1 when something has ended that images have, or that is tested without a reason. `npm run check` prints
// the same and does not fail by it: a commit that was right yesterday is not wrong since a day has passed
// (docs/adr/0022-the-image-has-node-24.md).
import { parseArgs } from 'node:util';
import { calendar, judgeCalendar, lookedAt } from './support-calendar.mjs';

const usage = 'npm run support [-- --at YYYY-MM-DD]';

function judged() {
  try {
    const { values } = parseArgs({ options: { at: { type: 'string' } } });
    return judgeCalendar(calendar, values.at ?? new Date().toISOString().slice(0, 10));
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

const { failures, warnings, notes } = judged();
for (const { name, use, ends } of calendar) console.log(`${ends}  ${use.padEnd(6)}  ${name}`);
console.log(`compared with the sources on ${lookedAt}`);
for (const text of notes) console.error(`note: ${text}`);
for (const text of warnings) console.error(`warning: ${text}`);
for (const text of failures) console.error(`error: ${text}`);
process.exit(failures.length > 0 ? 1 : 0);
