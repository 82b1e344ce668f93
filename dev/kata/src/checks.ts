// A sequence of named checks, each of which is a test of a part.
import { messageOf } from '@kata-agent/tool-command/caught';
import type { TestResult } from './part.js';

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
