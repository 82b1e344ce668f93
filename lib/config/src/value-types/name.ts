import { text } from './text.js';
import type { ValueType } from './value-type.js';

/** The name of a rule or a listener, as used in records and messages. */
export const entryName: ValueType<string> = text({
  name: 'name',
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  what: 'a name of ASCII letters, digits, "_", "." and "-", at most 64, the first a letter or a digit',
  accept: (text) => /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text),
});
