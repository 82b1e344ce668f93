// `npm run support [-- --at YYYY-MM-DD]`: prints when support of the dependencies ends (calendar.ts).
//
// The exit code is 1 if support has ended for a part of images, or for a tested dependency without a reason to
// keep it. `npm run check` prints the same messages without failing: a commit that passed must not fail because
// a day has passed (docs/adr/start-and-size.md, "The release of Node.js").
import { parseArgs } from 'node:util';
import { messageOf } from '@kata-agent/tool-command/command-line';
import { calendar, evaluateCalendar, type Evaluation, reviewedOn } from './calendar.js';

const usage = 'usage: npm run support [-- --at YYYY-MM-DD]';

function evaluation(): Evaluation {
  try {
    const { values } = parseArgs({ options: { at: { type: 'string' }, compiled: { type: 'boolean' } } });
    return evaluateCalendar(calendar, values.at ?? new Date().toISOString().slice(0, 10));
  } catch (error) {
    console.error(`${messageOf(error)}\n${usage}`);
    process.exit(2);
  }
}

const { failures, warnings, notes } = evaluation();
for (const { name, use, ends } of calendar) console.log(`${ends}  ${use.padEnd(6)}  ${name}`);
console.log(`dates last compared with their sources on ${reviewedOn}`);
for (const text of notes) console.error(`note: ${text}`);
for (const text of warnings) console.error(`warning: ${text}`);
for (const text of failures) console.error(`error: ${text}`);
process.exit(failures.length > 0 ? 1 : 0);
