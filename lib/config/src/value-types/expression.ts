import { text } from './text.js';
import { printable } from './value-schema.js';
import type { ValueType } from './value-type.js';

/** The text of a rule. The gate's checker, which knows CEL, checks it. */
export const expressionText: ValueType<string> = text({
  name: 'CEL expression',
  pattern: '\\S',
  what: 'an expression in CEL',
  accept: (text) => text.trim() !== '',
});

/** The message for a denied peer: one line. */
export const messageText: ValueType<string> = text({
  name: 'text',
  pattern: `^${printable()}{1,500}$`,
  what: 'a text of one line, at most 500 characters',
  accept: (text) => text.trim() !== '' && text.length <= 500 && !/\p{Cc}/u.test(text),
});
