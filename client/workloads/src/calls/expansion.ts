import { celLiteral } from '../facts/cel-literal.js';

/** A reference to a variable whose value is not known in advance. */
export interface Reference {
  readonly name: string;
  /** Whether the variable can be missing. Kubernetes then leaves the reference as it is. */
  readonly mayMiss: boolean;
  /** The source of the value if it can be any text: `Secret x, key k`. Absent: rules restrict its format. */
  readonly open?: string;
}

/** A part of an expanded text. */
export type Part = string | Reference;

/** Returns the parts of a variable's value; undefined: there is no such variable, and a reference to it remains text. */
export type Resolve = (name: string) => readonly Part[] | undefined;

/**
 * Expands references as Kubernetes does: `$(NAME)` is the variable's value, or is left if there is none; `$$` is `$`. Text parts are
 * never adjacent.
 *
 * Source: Kubernetes `third_party/forked/golang/expansion`.
 */
export function expand(text: string, resolve: Resolve): readonly Part[] {
  const parts: Part[] = [];
  let end = 0;
  for (const found of text.matchAll(/\$\$|\$\(([^)]*)\)/g)) {
    parts.push(text.slice(end, found.index));
    end = found.index + found[0].length;
    const name = found[1];
    parts.push(...(name === undefined ? ['$'] : (resolve(name) ?? [found[0]])));
  }
  return merged([...parts, text.slice(end)]);
}

/** Returns the text of parts without references. */
export function knownText(parts: readonly Part[]): string | undefined {
  const [first = '', ...others] = parts;
  return others.length === 0 && typeof first === 'string' ? first : undefined;
}

/** Returns the references among parts. */
export function references(parts: readonly Part[]): readonly Reference[] {
  return parts.filter((part) => typeof part !== 'string');
}

/** Returns CEL for the text: a reference has the value that the variable has in the same request. */
export function celText(parts: readonly Part[]): string {
  if (parts.length === 0) return celLiteral('');
  return parts
    .map((part) => {
      if (typeof part === 'string') return celLiteral(part);
      const name = celLiteral(part.name);
      return part.mayMiss
        ? `(${name} in env ? env[${name}] : ${celLiteral(`$(${part.name})`)})`
        : `env[${name}]`;
    })
    .join(' + ');
}

/** Returns an RE2 pattern for the text: any text for each reference. */
export function patternText(parts: readonly Part[]): string {
  const literal = (text: string): string =>
    text.replace(/[^A-Za-z0-9_]/gu, (letter) => `\\x{${(letter.codePointAt(0) ?? 0).toString(16)}}`);
  return `(?s)^${parts.map((part) => (typeof part === 'string' ? literal(part) : '.*')).join('')}$`;
}

/** Returns the text with a sample for each reference; undefined from `sample`: the variable is missing. */
export function sampleText(parts: readonly Part[], sample: (name: string) => string | undefined): string {
  return parts
    .map((part) => (typeof part === 'string' ? part : (sample(part.name) ?? `$(${part.name})`)))
    .join('');
}

function merged(parts: readonly Part[]): readonly Part[] {
  const result: Part[] = [];
  for (const part of parts) {
    const last = result.at(-1);
    if (typeof part === 'string' && typeof last === 'string') result[result.length - 1] = last + part;
    else if (part !== '') result.push(part);
  }
  return result;
}
