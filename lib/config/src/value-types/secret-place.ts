import { sha256Hex } from './sha256-hex.js';
import { printable } from './value-schema.js';
import { text } from './text.js';
import type { ValueType } from './value-type.js';

const containerPattern = '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$';

/** The name of a container in its pod. */
export const containerName: ValueType<string> = text({
  name: 'name of a container',
  pattern: containerPattern,
  what: 'the name of a container in its pod, such as "db"',
  accept: (value) => new RegExp(containerPattern).test(value),
});

/** The name of a variable of the environment. */
export const variableName: ValueType<string> = text({
  name: 'name of a variable',
  pattern: `^${printable('=')}+$`,
  what: 'the name of a variable, such as "DB_PASSWORD"',
  accept: (value) => /^[^=\p{Cc}]+$/u.test(value),
});

const sha256Pattern = `^${sha256Hex}$`;

/** A SHA-256 digest. */
export const sha256Text: ValueType<string> = text({
  name: '64 hexadecimal digits',
  pattern: sha256Pattern,
  what: 'a SHA-256 digest, 64 hexadecimal digits in lower case',
  accept: (value) => new RegExp(sha256Pattern).test(value),
});
