import { parseToml } from '../toml/parse-toml.js';
import { decodeDocument } from './decode-document.js';

/**
 * Reports whether a base document has sources of evidence: the registers then get the keys of the start as well. The document is
 * not checked; one that is not TOML has none.
 */
export function hasEvidence(bytes: Uint8Array): boolean {
  const decoded = decodeDocument(bytes, '');
  const toml = decoded.ok ? parseToml(decoded.source) : undefined;
  const evidence = toml?.ok === true ? toml.root.entries.get('evidence')?.value : undefined;
  const sources = evidence?.kind === 'table' ? evidence.entries.get('sources')?.value : undefined;
  return sources?.kind === 'array' && sources.items.length > 0;
}
