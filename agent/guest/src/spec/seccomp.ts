import { GuestError } from '../guest-error.js';
import type { OciSeccomp, OciSeccompRule } from '../request/oci-spec.js';

/**
 * Actions of the runtime specification, without the one that notifies a program outside of the container: there is none
 * here.
 */
const actions: ReadonlySet<string> = new Set(
  'KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG'.split(' ').map((name) => `SCMP_ACT_${name}`),
);

const operators: ReadonlySet<string> = new Set(
  'NE LT LE EQ GE GT MASKED_EQ'.split(' ').map((name) => `SCMP_CMP_${name}`),
);

const flags: ReadonlySet<string> = new Set(
  ['TSYNC', 'LOG', 'SPEC_ALLOW', 'WAIT_KILLABLE_RECV'].map((name) => `SECCOMP_FILTER_FLAG_${name}`),
);

/** The largest errno (include/linux/err.h). The kernel truncates larger numbers. */
const maxErrno = 4_095;

/**
 * Refuses profiles that would have another effect than they state: with an errno of 65536 a call returns 0, so its
 * caller takes it for done, and a runtime that drops capabilities by it believes that it has.
 */
export function checkSeccomp(profile: OciSeccomp | undefined): void {
  if (profile === undefined) return;
  const { defaultAction, syscalls = [], flags: given = [] } = profile;
  checkAction(defaultAction, 'the default action');
  const strange = given.find((flag) => !flags.has(flag));
  if (strange !== undefined)
    throw new GuestError('invalid', `seccomp: flag ${JSON.stringify(strange)} is not known`);
  for (const rule of syscalls) checkRule(rule);
}

function checkRule({ names, action, errnoRet, args = [] }: OciSeccompRule): void {
  const [first = 'a rule without names'] = names;
  checkAction(action, first);
  if (errnoRet !== undefined && (errnoRet < 1 || errnoRet > maxErrno))
    throw new GuestError(
      'invalid',
      `seccomp: ${first} fails with error ${errnoRet}, which is not from 1 to ${maxErrno}`,
    );
  for (const { index, op } of args) {
    if (!operators.has(op))
      throw new GuestError(
        'invalid',
        `seccomp: ${first} compares by ${JSON.stringify(op)}, which is not known`,
      );
    if (index < 0 || index > 5)
      throw new GuestError('invalid', `seccomp: ${first} has no argument ${index}: a system call has six`);
  }
}

function checkAction(action: string, what: string): void {
  if (!actions.has(action))
    throw new GuestError(
      'invalid',
      `seccomp: ${JSON.stringify(action)} of ${what} is not known, or not supported in a guest`,
    );
}
