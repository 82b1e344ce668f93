import { text } from './text.js';
import { printable } from './value-schema.js';
import type { ValueType } from './value-type.js';

/** `CONTAINER=MOUNT POINT`: the name of a container in its pod, and a clean path in it. */
const mountPattern = `^${printable('/=')}+=(/(?!\\.{1,2}(/|$))${printable('/')}+)+$`;

export const containerMount: ValueType<string> = text({
  name: '"CONTAINER=MOUNT POINT"',
  pattern: mountPattern,
  what: 'the name of a container in its pod and a mount point, such as "web=/data"',
  accept: (value) => /^[^/=\p{Cc}]+=(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u.test(value),
});
