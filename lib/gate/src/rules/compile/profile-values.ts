import type { RuleValues } from '@kata-agent/config';
import type { ConstantType } from '@kata-agent/catalogue/profiles';
import { type Compiled, constant } from '../language/compiled.js';
import { bool, int, listOf, type RecordField, string, type Type } from '../language/type.js';

/** The name of the constants of a document in the rules of its profile. */
export const valuesName = 'values';

/** Returns `values`: a record of constants. */
export function profileValues({ type, value }: RuleValues): Compiled {
  return constant(typeOf(type, valuesName), value);
}

/** @param name of the value, by which records are told apart */
function typeOf(type: ConstantType, name: string): Type {
  if (typeof type === 'object')
    return 'list' in type ? listOf(typeOf(type.list, name)) : recordOf(type.record, name);
  switch (type) {
    case 'bool':
      return bool;
    case 'int':
      return int;
    case 'string':
    case 'pattern':
      return string;
  }
}

function recordOf(record: Readonly<Record<string, ConstantType>>, name: string): Type {
  const fields = Object.entries(record).map(([key, type]): readonly [string, RecordField] => [
    key,
    { type: typeOf(type, `${name}.${key}`), doc: '' },
  ]);
  return { kind: 'record', name, fields: new Map(fields) };
}
