// The parts of a run and their results.
import { messageOf } from '@kata-agent/tool-command/command-line';
import type { KataPrograms } from './kata-program.js';
import type { PartName } from './plan.js';

export type Outcome = 'passed' | 'failed' | 'skipped';

/** One test of a part. */
export interface TestResult {
  readonly name: string;
  readonly outcome: Outcome;
  /** Why it failed or was skipped. */
  readonly reason?: string;
}

export interface PartResult {
  readonly part: PartName;
  readonly outcome: Outcome;
  /** Why the part was skipped, or why it could not be run to its end. */
  readonly reason?: string;
  readonly seconds: number;
  readonly tests: readonly TestResult[];
}

/** Thrown by a part that cannot run here. The message is the reason, with the package to install if there is one. */
export class PartSkipped extends Error {
  override readonly name = 'PartSkipped';
}

/** What a part gets. */
export interface PartContext {
  /** The checkout of Kata's source, which no part may change. */
  readonly source?: string | undefined;
  readonly programs: KataPrograms;
  /** Kata's configuration-remote.toml. */
  readonly remoteConfiguration?: string | undefined;
  /** A directory for sockets and logs. */
  readonly work: string;
  /** The pods of the part workloads. Empty: all. */
  readonly workloads: readonly string[];
  readonly printProgress: (text: string) => void;
}

/** Runs a part. Its outcome is that of its tests; an error that is not a skip is a failure. */
export async function runPart(
  part: PartName,
  run: () => Promise<readonly TestResult[]>,
  now: () => number = Date.now,
): Promise<PartResult> {
  const begin = now();
  const seconds = (): number => Math.round((now() - begin) / 100) / 10;
  try {
    const tests = await run();
    const failed = tests.some(({ outcome }) => outcome === 'failed');
    const ran = tests.some(({ outcome }) => outcome !== 'skipped');
    if (!ran) return { part, outcome: 'skipped', reason: 'no test ran', seconds: seconds(), tests };
    return { part, outcome: failed ? 'failed' : 'passed', seconds: seconds(), tests };
  } catch (error) {
    const outcome = error instanceof PartSkipped ? 'skipped' : 'failed';
    const reason = error instanceof Error ? error.message : String(error);
    return { part, outcome, reason, seconds: seconds(), tests: [] };
  }
}

/** Returns what a part needs, which its row of the plan demands. */
export function given<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new PartSkipped(`not given: ${what}`);
  return value;
}

// A sequence of named checks, each of which is a test of a part.

/** Runs checks one after another and records their results. */
export class Checks {
  readonly results: TestResult[] = [];
  readonly #prefix: string;
  #stopped: string | undefined;

  /** `prefix`: of the names of all checks. */
  constructor(prefix = '') {
    this.#prefix = prefix;
  }

  /** Whether a required check has failed. */
  get hasStopped(): boolean {
    return this.#stopped !== undefined;
  }

  /**
   * Runs a check, which fails by an error. With `required`, the checks after a failure are skipped. Returns the value, or
   * undefined if the check failed or was skipped.
   */
  async run<T>(
    name: string,
    check: () => T | Promise<T>,
    { required = false }: { readonly required?: boolean } = {},
  ): Promise<T | undefined> {
    const full = `${this.#prefix}${name}`;
    if (this.#stopped !== undefined) {
      this.results.push({ name: full, outcome: 'skipped', reason: `after: ${this.#stopped}` });
      return undefined;
    }
    try {
      const value = await check();
      this.results.push({ name: full, outcome: 'passed' });
      return value;
    } catch (error) {
      this.results.push({ name: full, outcome: 'failed', reason: messageOf(error) });
      if (required) this.#stopped = name;
      return undefined;
    }
  }
}

/** Throws unless a condition holds. */
export function expect(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}
