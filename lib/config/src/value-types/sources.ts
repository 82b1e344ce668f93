import { expected, read, type ValueType } from './value-type.js';
import { path, text } from './text.js';

const expectedPem = 'an absolute path, or PEM text that begins with -----BEGIN';

/** Reports whether a value is PEM text itself, and not the path of a file with it. */
export function isPemText(value: string): boolean {
  return value.trimStart().startsWith('-----BEGIN ');
}

/** PEM, as the path of a file in the guest or as text in the document. */
export const pemSource: ValueType<string> = {
  name: 'path, or PEM text',
  schema: { type: 'string', minLength: 1 },
  fromToml: (value) => (value.kind === 'string' ? pemSource.fromText(value.value) : expected(expectedPem)),
  fromText: (text) => (isPemText(text) || path.fromText(text).ok ? read(text) : expected(expectedPem)),
  write: (value) => JSON.stringify(value),
};

const expectedJson = 'an absolute path, or JSON text that begins with {';

/** Reports whether a value is JSON text itself, and not the path of a file with it. */
export function isJsonText(value: string): boolean {
  return value.trimStart().startsWith('{');
}

/** A JSON object, as the path of a file in the guest or as text in the document. */
export const jsonSource: ValueType<string> = {
  name: 'path, or JSON text',
  schema: { type: 'string', minLength: 1 },
  fromToml: (value) => (value.kind === 'string' ? jsonSource.fromText(value.value) : expected(expectedJson)),
  fromText: (text) => (isJsonText(text) || path.fromText(text).ok ? read(text) : expected(expectedJson)),
  write: (value) => JSON.stringify(value),
};

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
