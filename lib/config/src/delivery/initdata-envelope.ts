import { type DeliveredDocument, initdataKey } from '../delivery.js';
import { decodeDocument } from '../document/decode-document.js';
import type { Diagnostic, SourceText } from '../diagnostics/diagnostic.js';
import { quote } from '../diagnostics/display-text.js';
import { parseToml } from '../toml/parse-toml.js';
import { describeToml, type TomlTable } from '../toml/toml-value.js';

export type InitdataAlgorithm = DeliveredDocument['algorithm'];

// Trustee's specification uses IANA names, Kata's agent names without a hyphen; each accepts some of the other's.
const algorithms: ReadonlyMap<string, InitdataAlgorithm> = new Map([
  ['sha256', 'sha-256'],
  ['sha384', 'sha-384'],
  ['sha512', 'sha-512'],
  ['sha-256', 'sha-256'],
  ['sha-384', 'sha-384'],
  ['sha-512', 'sha-512'],
]);

interface Initdata {
  readonly algorithm: InitdataAlgorithm;
  /** The texts in `[data]`, by their keys. */
  readonly files: ReadonlyMap<string, string>;
}

export type ParsedInitdata =
  | ({ readonly ok: true } & Initdata)
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * Parses an initdata envelope: TOML with `version`, `algorithm` and `[data]`, a table of files (Confidential
 * Containers, kbs/docs/initdata.md).
 */
export function parseInitdata(bytes: Uint8Array, file: string): ParsedInitdata {
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const { source } = decoded;
  const parsed = parseToml(source);
  if (!parsed.ok) return { ok: false, diagnostics: [parsed.diagnostic] };
  const { root } = parsed;
  const version = root.entries.get('version')?.value;
  if (version?.kind !== 'string' || version.value !== '0.1.0') {
    return wrong(source, root, 'version', 'version = "0.1.0"');
  }
  const word = root.entries.get('algorithm')?.value;
  const algorithm = word?.kind === 'string' ? algorithms.get(word.value) : undefined;
  if (algorithm === undefined) {
    return wrong(source, root, 'algorithm', 'algorithm = "sha256", or sha384 or sha512');
  }
  const data = root.entries.get('data')?.value;
  if (data?.kind !== 'table') return wrong(source, root, 'data', '[data], a table of texts');
  const files = new Map<string, string>();
  for (const [name, { value }] of data.entries) {
    if (value.kind !== 'string') return wrong(source, data, name, `${quote(name)} = '''…''', a text`);
    files.set(name, value.value);
  }
  return { ok: true, algorithm, files };
}

function wrong(source: SourceText, table: TomlTable, key: string, right: string): ParsedInitdata {
  const entry = table.entries.get(key);
  const found = entry === undefined ? 'it is missing' : `not ${describeToml(entry.value)}`;
  const message = `initdata must have ${right}; ${found}`;
  return {
    ok: false,
    diagnostics: [source.error('KA1712', entry?.value.span ?? table.span, message, `write ${right}`)],
  };
}

/** Writes an envelope that contains one document unchanged and nothing else. The document must be UTF-8. */
export function writeInitdata(document: Uint8Array, algorithm: InitdataAlgorithm): Uint8Array {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(document);
  return writeInitdataFiles(new Map([[initdataKey, text]]), algorithm);
}

/** Writes an envelope of several files, in order, with their texts unchanged. */
export function writeInitdataFiles(
  files: ReadonlyMap<string, string>,
  algorithm: InitdataAlgorithm,
): Uint8Array {
  const data = [...files].map(([name, text]) => {
    const value = literal.test(text) ? `'''\n${text}'''` : quoted(text);
    return `${quoted(name)} = ${value}\n`;
  });
  const head = `algorithm = "${algorithm.replace('-', '')}"\nversion = "0.1.0"\n\n[data]\n`;
  return new Uint8Array(Buffer.from(head + data.join('')));
}

// Excludes what a TOML literal string cannot contain: control characters, its delimiter, and carriage returns, which a
// parser may drop.
const literal: RegExp = /^(?![^]*''')[^\0-\x08\x0b-\x1f\x7f]*(?<!')$/;

/** JSON's escapes are valid in TOML too, except that JSON does not escape DEL. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\x7f', '\\u007f');
}
