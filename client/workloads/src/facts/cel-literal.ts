import { kataDirectory, sharedDirectory } from '@kata-agent/catalogue';
import type { Entry } from './fact.js';

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

/**
 * Directories of the guest from which Kata's runtimes mount into containers. Names in them have IDs and random digits,
 * so that a rule can only name the directory.
 *
 * Source: `virtcontainers/kata_agent.go` and `fs_share_linux.go` of Kata Containers 4.1.0.
 */
const places = [
  `${sharedDirectory}/`,
  `${kataDirectory}/sandbox/ephemeral/`,
  `${kataDirectory}/sandbox/storage/`,
  `${kataDirectory}/virtual-volumes/`,
  `${kataDirectory}/image/`,
] as const;

/** Names that `within` of rules does not accept below a directory: empty, `.` or `..`. */
const led = /(?:^|\/)\.{0,2}(?:\/|$)|\0/;

/** The rootfs of a container whose image is pulled in the guest: `/run/kata-containers/ID/rootfs`. */
const root = /^(\/run\/kata-containers\/)[A-Za-z0-9_.-]+\/rootfs$/;

/** Returns the part of a path that a rule can use: the directory with its final slash, or the whole path. */
export function sourcePlace(path: string): string {
  const pulled = root.exec(path)?.[1];
  if (pulled !== undefined) return pulled;
  return places.find((place) => path.startsWith(place) && !led.test(path.slice(1))) ?? path;
}
