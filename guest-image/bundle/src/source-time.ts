// Finds the time of this repository's source, from which the default of `clock_floor` comes. Never the time of the
// build: two builds of one source must give the same bytes.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '@kata-agent/setup/bootstrap';

/**
 * Returns SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/), otherwise the time of the commit
 * that is checked out; in seconds since 1970. Returns undefined for a source without git.
 *
 * @throws Error if SOURCE_DATE_EPOCH is not a number, or later than this machine's clock: the guest's clock would be raised
 * to a time that has not come.
 */
export function sourceTime(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = root,
): number | undefined {
  const given = environment['SOURCE_DATE_EPOCH'];
  if (given === undefined || given === '') return commitTime(directory);
  const time = /^\d{1,10}$/.test(given) ? Number(given) : Number.NaN;
  if (time * 1000 <= Date.now()) return time;
  throw new Error(
    `SOURCE_DATE_EPOCH must be seconds since 1970, and in the past, not ${JSON.stringify(given)}\n` +
      'help: unset it, to take the time of the commit',
  );
}

function commitTime(directory: string): number | undefined {
  // Not that of a repository in which this one was unpacked.
  if (!existsSync(join(directory, '.git'))) return undefined;
  // For each owner of the directory: the image must be the same for each user of this machine.
  const options = [
    '-C',
    directory,
    '-c',
    'safe.directory=*',
    'log',
    '-1',
    '--no-show-signature',
    '--format=%ct',
  ];
  const { status, stdout } = spawnSync('git', options, { encoding: 'utf8' });
  return status === 0 && /^\d+\n$/.test(stdout) ? Number(stdout) : undefined;
}
