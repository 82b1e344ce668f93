/** A function or macro as the reference lists it. */
export interface ListedFunction {
  readonly name: string;
  /** Its syntax: `text.startsWith(start)`. */
  readonly form: string;
  readonly doc: string;
}

/** `has()`, which is about a field or a name and not about its value. */
export const hasMacro: ListedFunction = {
  name: 'has',
  form: 'has(message.field)',
  doc: "Whether the request sets the field; also guards a field or a name that only some of a rule's methods have.",
};

/** Macros that walk through a list, or through the keys of a map, with a variable of their own. */
export const loopMacros: readonly ListedFunction[] = [
  {
    name: 'all',
    form: 'list.all(item, condition)',
    doc: 'Whether the condition holds for every element, or key of a map.',
  },
  { name: 'exists', form: 'list.exists(item, condition)', doc: 'Whether it holds for at least one.' },
  { name: 'exists_one', form: 'list.exists_one(item, condition)', doc: 'Whether it holds for exactly one.' },
  {
    name: 'filter',
    form: 'list.filter(item, condition)',
    doc: 'The elements for which it holds, as a list.',
  },
  { name: 'map', form: 'list.map(item, value)', doc: 'A list of the values for each element.' },
];

/** The only function whose argument is compiled with the rule: it is in no table of overloads. */
export const matchesFunction: ListedFunction = {
  name: 'matches',
  form: 'text.matches("pattern")',
  doc: 'Reports whether a part of a string matches an RE2 regular expression. Use `^` and `$` to match all of it.',
};
