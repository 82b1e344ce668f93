import type { OperatorVerb } from '@kata-agent/catalogue';
import { listOfTexts } from './list-of-texts.js';
import { expected, read, type ValueType } from './value-type.js';

/** Verbs of operators, of those that have a meaning where they are written; in their order. */
export function verbList(verbs: readonly OperatorVerb[], help?: string): ValueType<readonly OperatorVerb[]> {
  const what = `a list of ${verbs.map((verb) => `"${verb}"`).join(', ')}, not empty and each once`;
  return listOfTexts<OperatorVerb>({
    name: 'list of verbs',
    what,
    items: { enum: verbs },
    fromTexts: (texts) => {
      const known = verbs.filter((verb) => texts.includes(verb));
      return texts.length > 0 && known.length === texts.length ? read(known) : expected(what, help);
    },
  });
}
