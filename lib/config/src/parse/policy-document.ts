import { createHash } from 'node:crypto';
import { looksLikeRego, parseRegoDefaults } from '../api/rego-defaults.js';
import { decodeDocument } from '../document/decode-document.js';
import type { DocumentRole } from '../document/entry-key.js';
import type { DocumentOutcome, ParsedDocument } from './parsed-document.js';

const noSections: ParsedDocument['sections'] = {
  agent: new Map(),
  api: new Map(),
  delivery: new Map(),
  measurement: new Map(),
  image: new Map(),
  evidence: new Map(),
  audit: new Map(),
  limits: new Map(),
};

/** Parses a Rego policy that is a plain list of defaults as a document with only an allow-list. */
export function parsePolicyDocument(bytes: Uint8Array, file: string, role: DocumentRole): DocumentOutcome {
  const decoded = decodeDocument(bytes, file);
  if (!decoded.ok) return { ok: false, diagnostics: [decoded.diagnostic] };
  const { source } = decoded;
  const start = source.span(0, 1);
  if (!looksLikeRego(source.text)) {
    const message = 'the first line is neither a package nor a default of Rego';
    return {
      ok: false,
      diagnostics: [source.error('KA1802', start, message, 'begin with package agent_policy')],
    };
  }
  const rego = parseRegoDefaults(source);
  if (!rego.ok) return rego;
  return {
    ok: true,
    document: {
      file,
      role,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      sections: noSections,
      api: rego.document,
      listeners: [],
      witnesses: [],
      secrets: [],
      apiSpan: start,
      lineOf: (span) => source.line(span.line),
      warnings: [],
    },
  };
}
