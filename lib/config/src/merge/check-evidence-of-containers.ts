import type { Configuration } from '../configuration.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { evidenceSettings } from '../settings/evidence-settings.js';
import type { Settled } from './settle.js';

/**
 * Reports settings by which containers could get evidence, or reports over bytes of their choice: then the evidence of the agent
 * would prove nothing.
 */
export function checkEvidenceOfContainers(
  { values }: Pick<Settled, 'values'>,
  documents: readonly Pick<ParsedDocument, 'file' | 'lineOf'>[],
): readonly Diagnostic[] {
  const valueOf = (section: string, key: string): Configuration['values'][number] | undefined =>
    values.find((one) => one.section === section && one.key === key);
  const sources = valueOf('evidence', evidenceSettings.sources.key)?.value;
  if (!Array.isArray(sources) || sources.length === 0) return [];
  return openings.flatMap(({ key, is, severity, why, help }): readonly Diagnostic[] => {
    const found = valueOf('agent', key);
    const text = typeof found?.value === 'string' ? found.value : '';
    if (found === undefined || !is.includes(text)) return [];
    const { span, source } = found;
    const document = documents.find(({ file }) => file === span?.file);
    const message = `${key} = "${text}" (${source}) with [evidence]: ${why}`;
    const place =
      span === undefined || document === undefined ? {} : { span, sourceLine: document.lineOf(span) };
    return [{ severity, code: 'KA1110', message, help, ...place }];
  });
}

/** Values of `[agent]` that let containers pass for the agent. */
const openings: readonly (Pick<Diagnostic, 'severity'> & {
  readonly key: string;
  readonly is: readonly string[];
  readonly why: string;
  readonly help: string;
})[] = [
  {
    key: 'guest_components_rest_api',
    is: ['all', 'attestation'],
    severity: 'error',
    why: 'any container would get reports over bytes of its choice, and could pass for the agent',
    help: 'write guest_components_rest_api = "resource"',
  },
  {
    key: 'privileged_containers',
    is: ['allow'],
    severity: 'warning',
    why: 'a privileged container is root in the guest, and can mount what gives evidence',
    help: 'write privileged_containers = "refuse"',
  },
];
