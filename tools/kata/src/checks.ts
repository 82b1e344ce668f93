// A sequence of named checks, each of which is a test of a part.
import { messageOf } from '@kata-agent/tool-command/caught';
import type { TestResult } from './part.js';

/** Runs checks one after another and records their results. */
export class Checks {
  readonly results: TestResult[] = [];
  #stopped: string | undefined;

  /**
   * Runs a check, which fails by an error. With `required`, the checks after a failure are skipped. Returns the value, or
   * undefined if the check failed or was skipped.
   */
  async run<T>(
    name: string,
    check: () => Promise<T>,
    { required = false }: { readonly required?: boolean } = {},
  ): Promise<T | undefined> {
    if (this.#stopped !== undefined) {
      this.results.push({ name, outcome: 'skipped', reason: `after: ${this.#stopped}` });
      return undefined;
    }
    try {
      const value = await check();
      this.results.push({ name, outcome: 'passed' });
      return value;
    } catch (error) {
      this.results.push({ name, outcome: 'failed', reason: messageOf(error) });
      if (required) this.#stopped = name;
      return undefined;
    }
  }
}
