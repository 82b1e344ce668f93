// The ends of support of this project's dependencies, and their evaluation on a day. It lists dependencies that
// announce a date; Kata, QEMU and the npm packages do not.
import {
  imageNodeVersion,
  majorOf,
  nodeReleases,
  nodeSources,
} from '@kata-agent/tool-guest-image/node/releases';

/** A dependency whose support ends. */
export interface CalendarEntry {
  readonly name: string;
  /** `image`: a guest image contains it. `tested`: tests, the build or a user's machine run on it. */
  readonly use: 'image' | 'tested';
  /** The last day with fixes, `YYYY-MM-DD`. */
  readonly ends: string;
  /** The source of the day. */
  readonly source: string;
  /** Why a `tested` entry is kept after that day. */
  readonly reason?: string;
}

/** The messages for a day. */
export interface Evaluation {
  /** Support has ended for an `image` entry, or for a `tested` entry without a reason. */
  readonly failures: readonly string[];
  /** Support ends within 180 days. */
  readonly warnings: readonly string[];
  /** Support has ended for a `tested` entry with a reason. */
  readonly notes: readonly string[];
}

/** The day on which all dates were last compared with their sources. Compare all of them when you change one. */
export const reviewedOn = '2026-11-26';

const debianDates = "debian.csv of Debian's package distro-info-data";

/** All dependencies with a date. */
export const calendar: readonly CalendarEntry[] = [
  ...nodeReleases.map(
    ({ version, ends, reason }): CalendarEntry => ({
      name: `Node.js ${majorOf(version)} (${version})`,
      use: version === imageNodeVersion ? 'image' : 'tested',
      ends,
      source: nodeSources.ends,
      ...(reason === undefined ? {} : { reason }),
    }),
  ),
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

/** Days from a warning to the end of support: time to test the next release and to roll out images. */
const warningDays = 180;
const dayMs = 24 * 60 * 60 * 1000;

/** Evaluates a calendar on a day (`YYYY-MM-DD`). */
export function evaluateCalendar(entries: readonly CalendarEntry[], today: string): Evaluation {
  const failures: string[] = [];
  const warnings: string[] = [];
  const notes: string[] = [];
  for (const { name, use, ends, source, reason } of entries) {
    const days = Math.round((dayOf(ends) - dayOf(today)) / dayMs);
    if (days > warningDays) continue;
    if (days >= 0) {
      const help =
        use === 'image' ? 'select the next release, and build images with it' : 'select the next release';
      warnings.push(`${name}: support ends on ${ends}, in ${days} days (${source}); help: ${help}`);
    } else if (use === 'image') {
      failures.push(
        `${name}: support ended on ${ends} (${source}), and images contain it; help: select a supported release`,
      );
    } else if (reason === undefined) {
      failures.push(
        `${name}: support ended on ${ends} (${source}); help: stop testing it, or add a \`reason\` to keep it`,
      );
    } else {
      notes.push(`${name}: support ended on ${ends}; kept because: ${reason}`);
    }
  }
  return { failures, warnings, notes };
}

/** Returns the time at the beginning of a day in milliseconds. Throws if the text is not a day. */
function dayOf(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(ms)) throw new Error(`"${text}" is not a day\nhelp: write YYYY-MM-DD`);
  return ms;
}
