import { text } from './text.js';
import type { ValueType } from './value-type.js';

// The agent parses each name again, by the rules of @kata-agent/puller, when it starts.

const host = String.raw`[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?`;
const name = '[a-z0-9]([a-z0-9._-]*[a-z0-9])?';

/** A host, with or without a port: `registry.example:5000`. */
export const hostName: ValueType<string> = named(
  'host',
  'a host in lower case, "registry.example"',
  `^${host}$`,
);

/** A registry, or a part of its repositories. */
export const repository: ValueType<string> = named(
  'registry or repository',
  'a registry or repository in lower case, "registry.example/mirror"',
  `^${host}(/${name})*$`,
);

/** A pattern of repositories. */
export const imagePattern: ValueType<string> = named(
  'pattern of repositories',
  'a pattern of repositories, "registry.example/team/*", "registry.example/**" or "**"',
  String.raw`^(\*\*|${host}(/(${name}|\*))*/(${name}|\*\*?))$`,
);

function named(kind: string, what: string, pattern: string): ValueType<string> {
  const form = new RegExp(pattern);
  return text({
    name: kind,
    pattern,
    what,
    accept: (value) => form.test(value),
  });
}
