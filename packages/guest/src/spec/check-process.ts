import { posix } from 'node:path';
import { GuestError } from '../guest-error.js';
import type { OciProcess } from '../oci-spec.js';

/** A path of the runtime's own process: CVE-2024-21626 (cwd), CVE-2019-5736 (args[0]). */
const runtimeOwn = /^\/proc\/(?:self|thread-self|[0-9]+)(?:\/|$)/;

/** As runc knows them and as rules compare them: crun takes `cap_sys_admin` and `sys_admin` for the same. */
const capability = /^CAP_[A-Z][A-Z_]{1,40}$/;

/** What runc would take but must not be given (S10), for a first process and an exec alike. */
export function checkProcess(process: OciProcess): void {
  const [program] = process.args;
  if (program === undefined || program === '') {
    throw new GuestError('invalid', 'process.args is empty: there is nothing to run');
  }
  if (!posix.isAbsolute(process.cwd)) {
    throw new GuestError('invalid', `process.cwd ${JSON.stringify(process.cwd)} is not an absolute path`);
  }
  // Not told: runc would, in an error that is recorded, and what has no name may be all value.
  if (process.env?.some((entry) => entry.indexOf('=') < 1) === true)
    throw new GuestError('invalid', 'process.env has an entry that is not of the form NAME=value');
  const strange = Object.values(process.capabilities ?? {})
    .flat()
    .find((name) => !capability.test(name));
  if (strange !== undefined)
    throw new GuestError('invalid', `capability ${JSON.stringify(strange)} is not written as CAP_NAME`);
  for (const [name, path] of [
    ['cwd', process.cwd],
    ['args[0]', posix.resolve(process.cwd, program)],
  ] as const) {
    if (runtimeOwn.test(normal(path))) {
      throw new GuestError(
        'refused',
        `process.${name} ${JSON.stringify(path)} lies in a process's /proc directory`,
      );
    }
  }
}

/** `normalize` leaves a leading `//` in no case of its own on Linux, but says so nowhere. */
function normal(path: string): string {
  return posix.normalize(path).replace(/^\/+/, '/');
}
