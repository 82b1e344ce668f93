import { CannotApply } from '../cannot-apply.js';

/** Values that a manifest can name as `${NAME}`. */
export type Variables = Readonly<Record<string, string>>;

/** Replaces each `${NAME}`. @throws CannotApply for a name that is not known, or without its end. */
export function substitute(template: string, variables: Variables, where: string): string {
  return template.replaceAll(/\$\{([^}]*)(\}?)/g, (_, name: string, end: string) => {
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    if (end === '' || value === undefined) {
      const known = Object.keys(variables).join(', ');
      throw new CannotApply(`${where}: ${JSON.stringify(`\${${name}${end}`)} is not a variable`, {
        help: `use one of ${known}`,
      });
    }
    return value;
  });
}
