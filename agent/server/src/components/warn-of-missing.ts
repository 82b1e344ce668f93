import type { Configuration } from '@kata-agent/config';
import type { Log } from '../log.js';

/** Logs which programs of guest components are missing. Where nobody requested any, that is how most images are. */
export function warnOfMissing(
  missing: readonly string[],
  { all, values }: { readonly all: boolean } & Pick<Configuration, 'values'>,
  log: Log,
): void {
  const row = values.find(({ key }) => key === 'guest_components_procs');
  if (row?.source === 'default' && all) {
    log('info', 'this image has no guest components');
    return;
  }
  log(
    'warn',
    'guest components are requested, and none is started: a program is missing\nhelp: add it to the image, or set guest_components_procs to fewer, or "none"',
    { missing: missing.join(', ') },
  );
}
