import type { DeliveredDocument } from '../configuration.js';
import { decodeDocument } from '../decode-document.js';
import type { Diagnostic } from '../diagnostic.js';
import { parseToml } from '../parse-toml.js';
import type { SourceText } from '../source-text.js';
import { describeToml, type TomlTable } from '../toml-value.js';

/** Our file among those of `[data]`: beside `aa.toml`, `cdh.toml` and `policy.rego` of others. */
export const initdataKey: string = 'kata-agent.toml';

export type InitdataAlgorithm = DeliveredDocument['algorithm'];

// Trustee's specification has the names of IANA, Kata's agent those without a hyphen; each takes the other's in part.
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
  /** Our document; undefined: the envelope has none. */
  readonly document: Uint8Array | undefined;
}

export type ParsedInitdata =
  | ({ readonly ok: true } & Initdata)
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/**
 * Reads an initdata envelope: TOML with `version`, `algorithm` and `[data]`, a table from names to texts (Confidential
 * Containers, kbs/docs/initdata.md). Keys of others are not looked at.
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
  const entry = data.entries.get(initdataKey)?.value;
  if (entry === undefined) return { ok: true, algorithm, document: undefined };
  if (entry.kind !== 'string') return wrong(source, data, initdataKey, `"${initdataKey}" = '''…''', a text`);
  return { ok: true, algorithm, document: new Uint8Array(Buffer.from(entry.value)) };
}

function wrong(source: SourceText, table: TomlTable, key: string, right: string): ParsedInitdata {
  const entry = table.entries.get(key);
  const found = entry === undefined ? 'it is missing' : `not ${describeToml(entry.value)}`;
  const message = `initdata must have ${right}; ${found}`;
  return {
    ok: false,
    diagnostics: [source.error(entry?.value.span ?? table.span, message, `write ${right}`)],
  };
}

/** An envelope that holds one document, byte for byte, and nothing else. The document must be UTF-8. */
export function writeInitdata(document: Uint8Array, algorithm: InitdataAlgorithm): Uint8Array {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(document);
  const value = literal.test(text) ? `'''\n${text}'''` : quoted(text);
  const envelope = `algorithm = "${algorithm.replace('-', '')}"\nversion = "0.1.0"\n\n[data]\n"${initdataKey}" = ${value}\n`;
  return new Uint8Array(Buffer.from(envelope));
}

// What a literal text of TOML cannot hold: controls, its own end, and a carriage return that a reader may drop.
const literal: RegExp = /^(?![^]*''')[^\0-\x08\x0b-\x1f\x7f]*(?<!')$/;

/** JSON's escapes are TOML's too, but for DEL, which JSON leaves as it is. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\x7f', '\\u007f');
}
