// A reporter of node:test that writes one JSON object: counts, failed tests, skipped tests with their reasons, and the time of
// each file.
import { relative } from 'node:path';
import { root as repository } from '@kata-agent/setup/bootstrap';

/** The report of a test run. */
export interface TestReport {
  /** Numbers of tests, by node:test's names: `tests`, `pass`, `fail`, … */
  readonly counts: Readonly<Record<string, number>>;
  /** `message` is the first line of the error's message. */
  readonly failures: readonly { readonly file: string; readonly name: string; readonly message: string }[];
  readonly skipped: readonly { readonly file: string; readonly name: string; readonly reason: string }[];
  /** The files, those that took longest first. The time of a file is that of its tests, without the start of its process. */
  readonly times: readonly { readonly file: string; readonly tests: number; readonly ms: number }[];
}

/** The used members of an event of node:test. */
export interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly nesting?: number;
    readonly name?: string;
    readonly message?: string;
    readonly file?: string;
    readonly skip?: string | boolean;
    readonly details?: { readonly error?: unknown; readonly duration_ms?: number };
  };
}

/** The reporter that node:test calls. */
export async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield `${JSON.stringify(await summary(events, repository), null, 2)}\n`;
}

/** Builds the report from the events of a run. Paths are relative to `root`. */
export async function summary(events: AsyncIterable<TestEvent>, root: string): Promise<TestReport> {
  const counts: Record<string, number> = {};
  const failures: TestReport['failures'][number][] = [];
  const skipped: TestReport['skipped'][number][] = [];
  const times = new Map<string, { tests: number; ms: number }>();
  const names: string[] = [];
  for await (const { type, data } of events) {
    const { nesting = 0, name: own = '' } = data;
    if (type === 'test:start') names.splice(nesting, names.length, own);
    if (type === 'test:diagnostic' && nesting === 0) {
      const [, name, count] =
        /^(tests|suites|pass|fail|cancelled|skipped|todo) (\d+)$/.exec(data.message ?? '') ?? [];
      if (name !== undefined) counts[name] = Number(count);
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const name = [...names.slice(0, nesting), own].join(' › ');
    const file = data.file === undefined ? '' : relative(root, data.file);
    const time = times.get(file) ?? { tests: 0, ms: 0 };
    times.set(file, time);
    time.tests += 1;
    // That of a suite contains that of its tests.
    if (nesting === 0) time.ms += data.details?.duration_ms ?? 0;
    if (data.skip !== undefined && data.skip !== false)
      skipped.push({
        file,
        name,
        reason: typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason',
      });
    else if (type === 'test:fail' && !isSubtestFailure(data.details?.error))
      failures.push({ file, name, message: firstLine(data.details?.error) });
  }
  const sorted = [...times].sort(([, one], [, other]) => other.ms - one.ms);
  return {
    counts,
    failures,
    skipped,
    times: sorted.map(([file, { tests, ms }]) => ({ file, tests, ms: Math.round(ms) })),
  };
}

/** Reports whether a test failed only because its subtests did, which have events of their own. */
function isSubtestFailure(error: unknown): boolean {
  return memberOf(error, 'failureType') === 'subtestsFailed';
}

/** Returns the first line of the message of a thrown value, which node:test wraps. */
function firstLine(error: unknown): string {
  const cause = memberOf(error, 'cause') ?? error;
  return String(memberOf(cause, 'message') ?? cause).split('\n', 1)[0] ?? '';
}

/** Returns a member of a thrown value, which need not be an Error: it comes from another process. */
function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
