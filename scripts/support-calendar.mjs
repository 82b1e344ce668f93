// When support ends for what this project takes from others, and what follows from that on a day. Only what has a date:
// Kata's releases, QEMU and our npm packages announce none. Pure.
import { imageNodeVersion, majorOf, nodeReleases, nodeSources } from '../image/node-releases.mjs';

/** The day on which all dates below were compared with their sources. Whoever changes a line looks at the others too. */
export const lookedAt = '2026-11-26';

const debianDates = "debian.csv of Debian's package distro-info-data";

/**
 * `use`: `image` for what a guest image has in it; `tested` for what tests, the build or a user's machine run on. `ends`: the
 * last day with fixes. `reason`: why something tested stays after that day.
 */
export const calendar = [
  ...nodeReleases.map(({ version, ends, reason }) => ({
    name: `Node.js ${majorOf(version)} (${version})`,
    use: version === imageNodeVersion ? 'image' : 'tested',
    ends,
    source: nodeSources.ends,
    ...(reason === undefined ? {} : { reason }),
  })),
  {
    name: 'Debian 13: kernel, runc, libc and the other programs of an image',
    use: 'image',
    ends: '2028-08-09',
    source: debianDates,
  },
  {
    name: 'Debian 12 (LTS): npm start and npm test',
    use: 'tested',
    ends: '2028-06-30',
    source: debianDates,
  },
];

/** How long before an end a warning comes: a release that follows has to be tried, and images have to be rolled out. */
const warningDays = 180;
const dayMs = 24 * 60 * 60 * 1000;

/**
 * Judges a calendar on a day (`YYYY-MM-DD`). Returns `{ failures, warnings, notes }`, each a list of sentences: a failure is
 * something in the image, or tested without a reason, whose support has ended; a warning is an end within 180 days; a note
 * is an end that a reason explains.
 */
export function judgeCalendar(entries, today) {
  const result = { failures: [], warnings: [], notes: [] };
  for (const { name, use, ends, source, reason } of entries) {
    const days = Math.round((dayOf(ends) - dayOf(today)) / dayMs);
    if (days > warningDays) continue;
    if (days >= 0) {
      const help = use === 'image' ? 'choose what follows, and build images with it' : 'choose what follows';
      result.warnings.push(`${name}: support ends on ${ends}, in ${days} days (${source}); help: ${help}`);
    } else if (use === 'image') {
      result.failures.push(
        `${name}: support ended on ${ends} (${source}), and images have it; help: take a release that is supported`,
      );
    } else if (reason === undefined) {
      result.failures.push(
        `${name}: support ended on ${ends} (${source}); help: stop testing it, or write a \`reason\` to keep it`,
      );
    } else {
      result.notes.push(`${name}: support ended on ${ends}; it stays: ${reason}`);
    }
  }
  return result;
}

/** Milliseconds of a day's beginning. Throws for what is no day. */
function dayOf(text) {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new Error(`"${text}" is no day: write YYYY-MM-DD`);
  return ms;
}
