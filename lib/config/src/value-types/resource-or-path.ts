import { path, text } from './text.js';
import type { ValueType } from './value-type.js';

const resource = /^kbs:\/\/\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/;

/** Reports whether a value names a resource of the key broker, and not a file. */
export function isResource(value: string): boolean {
  return resource.test(value);
}

/** A resource that the confidential data hub gets from its key broker, or a file of the guest. */
export const resourceOrPath: ValueType<string> = text({
  name: 'kbs:/// and the name of a resource, or a path',
  pattern: '^(/|kbs:///).',
  what: '"kbs:///REPOSITORY/TYPE/TAG", or an absolute path',
  accept: (value) => isResource(value) || path.fromText(value).ok,
});

/** A resource that the confidential data hub gets from its key broker. */
export const resourceName: ValueType<string> = text({
  name: 'kbs:/// and the name of a resource',
  pattern: '^kbs:///.',
  what: '"kbs:///REPOSITORY/TYPE/TAG"',
  accept: isResource,
});
