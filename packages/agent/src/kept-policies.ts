import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CannotApply } from './cannot-apply.js';

/** Policies that one boot can bring: a runtime sends one for a pod. */
const mostPolicies = 64;

interface Kept {
  readonly bootId: string;
  readonly policies: readonly string[];
}

/**
 * The texts that SetPolicy brought since the machine started, in the agent's own state: when the agent is killed, the
 * containers live on, and so does what was refused to their host (S4, S20). It need not survive the machine.
 */
export class KeptPolicies {
  readonly #file: string;
  readonly #bootId: string;
  #policies: readonly string[];

  private constructor(file: string, bootId: string, policies: readonly string[]) {
    this.#file = file;
    this.#bootId = bootId;
    this.#policies = policies;
  }

  /** @throws CannotApply when there is a file that does not tell which policies came. */
  static open(file: string, bootId: string): KeptPolicies {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
        return new KeptPolicies(file, bootId, []);
      throw unreadable(file, error);
    }
    const kept = parse(text);
    if (kept === undefined) throw unreadable(file, new Error('it is not of our form'));
    return new KeptPolicies(file, bootId, kept.bootId === bootId ? kept.policies : []);
  }

  /** In the order in which they came. */
  get policies(): readonly string[] {
    return this.#policies;
  }

  get full(): boolean {
    return this.#policies.length >= mostPolicies;
  }

  /** Keeps one more. Throws what the file system throws: then the next agent would not know of it. */
  keep(policy: string): void {
    if (this.#policies.includes(policy)) return;
    const policies = [...this.#policies, policy];
    const kept: Kept = { bootId: this.#bootId, policies };
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o755 });
    writeFileSync(`${this.#file}.new`, JSON.stringify(kept), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
    this.#policies = policies;
  }
}

function parse(text: string): Kept | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof value !== 'object' || value === null || !('bootId' in value) || !('policies' in value))
    return undefined;
  const { bootId, policies } = value;
  if (typeof bootId !== 'string' || !Array.isArray(policies)) return undefined;
  return policies.every((policy) => typeof policy === 'string') ? { bootId, policies } : undefined;
}

function unreadable(file: string, cause: unknown): CannotApply {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CannotApply(`${file} does not tell what SetPolicy refused: ${reason}: start the guest again`, {
    cause,
  });
}
