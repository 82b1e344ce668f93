import type { Entry } from './fact-name.js';

/**
 * Returns a CEL literal that can be in a `'''` string of TOML: control characters are escaped, and so are apostrophes
 * that would end it.
 */
export function celLiteral(entry: Entry | readonly Entry[]): string {
  if (typeof entry === 'number') return String(entry);
  if (typeof entry !== 'string') return `[${entry.map(celLiteral).join(', ')}]`;
  const escaped = entry.replace(/[\\"\p{Cc}\p{Cf}\p{Zl}\p{Zp}]|''/gu, (found) => {
    if (found === "''") return "\\'\\'";
    if (found === '\\' || found === '"') return `\\${found}`;
    if (found === '\n') return '\\n';
    const code = found.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  });
  return `"${escaped}"`;
}

/** Returns a list, wrapped over lines. */
export function wrappedList(entries: readonly Entry[]): string {
  const lines = [''];
  for (const text of entries.map(celLiteral)) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && last.length + text.length > 100) lines.push(text);
    else lines[lines.length - 1] = last === '' ? text : `${last}, ${text}`;
  }
  return lines.length === 1 ? `[${lines[0] ?? ''}]` : `[\n  ${lines.join(',\n  ')},\n]`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
