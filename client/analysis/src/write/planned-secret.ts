import { reasonsText } from './commented-lines.js';

/** A `[[secret]]` before it is rendered. */
export interface PlannedSecret {
  /** Its keys and values, in order. */
  readonly keys: Readonly<Record<string, string>>;
  readonly because: readonly string[];
}

/** Returns a table in TOML. */
export function secretText({ keys, because }: PlannedSecret): string {
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
  return `${reasonsText('#', { because })}\n[[secret]]\n${lines.join('')}`;
}
