import { isIP } from 'node:net';
import { isLocalhostName } from '@kata-agent/catalogue/localhost-names';
import { text } from './text.js';
import type { ValueType } from './value-type.js';

const namePattern = '^(\\*|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?)$';

/** A name of a hosts file. Those of localhost have loopback's addresses, whatever a configuration says. */
export const hostAliasName: ValueType<string> = text({
  name: 'host name',
  pattern: namePattern,
  what: 'a table of host names, such as "db.example", or "*"; not a name of localhost',
  accept: (value) => new RegExp(namePattern).test(value) && !isLocalhostName(value),
});

export const hostAliasAddress: ValueType<string> = text({
  name: 'IP address, or "*"',
  pattern: '^(\\*|[0-9A-Fa-f.:]+)$',
  what: 'an IP address, or "*"',
  accept: (value) => value === '*' || isIP(value) !== 0,
});
