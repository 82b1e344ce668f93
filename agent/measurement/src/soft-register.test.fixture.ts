import { type Banks, digestsFor, extended, MeasurementError, type Register } from './register.js';

/** A register in memory that can be made to fail at its next extend, before or after the value changes. */
export class SoftRegister implements Register {
  readonly name: string;
  readonly kind: Register['kind'];
  readonly index = 23;
  extends = 0;
  fail: 'before' | 'after' | undefined;
  value: Banks;

  constructor(name: string, banks: readonly string[] = ['sha256', 'sha384'], kind: Register['kind'] = 'tpm') {
    this.name = name;
    this.kind = kind;
    const lengths = Object.entries(digestsFor(banks, new Uint8Array()));
    this.value = Object.fromEntries(lengths.map(([bank, digest]) => [bank, '0'.repeat(digest.length)]));
  }

  async read(): Promise<Banks> {
    return this.value;
  }

  async extend(digests: Banks): Promise<void> {
    if (this.fail === 'before') this.#break();
    this.extends += 1;
    this.value = extended(this.value, digests);
    if (this.fail === 'after') this.#break();
  }

  #break(): never {
    this.fail = undefined;
    throw new MeasurementError(`${this.name} is broken`);
  }
}
