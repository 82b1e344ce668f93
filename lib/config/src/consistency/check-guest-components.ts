import type { Configuration } from '../configuration.js';
import type { LoadedInitdata } from '../delivery.js';
import type { Diagnostic } from '../diagnostics/diagnostic.js';
import type { ParsedDocument } from '../parse/parsed-document.js';
import { evidenceSettings } from '../settings/evidence-settings.js';
import { imageSettings } from '../settings/image-settings.js';
import { isResource } from '../value-types/sources.js';
import { isStronglyBound } from '../stack/bind-document.js';
import { failure } from '../stack/stacked-document.js';
import type { Settled } from '../merge/settle.js';

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

/**
 * Reports files of initdata for the guest components that the host can have written, where the configuration relies on the data
 * hub: they name its key broker, and its policy for images.
 */
export function checkComponentFiles(
  initdata: LoadedInitdata | undefined,
  { values }: Pick<Settled, 'values'>,
): readonly Diagnostic[] {
  if (initdata?.binding === undefined || isStronglyBound(initdata.binding)) return [];
  const kept = initdata.files.filter(({ outcome }) => outcome === 'kept').map(({ name }) => name);
  const reliance = relianceOn(values);
  if (kept.length === 0 || reliance === undefined) return [];
  return [
    failure(
      'KA1718',
      `${initdata.file} has ${kept.join(' and ')}, and is not bound: the host would choose key broker and policy of the data hub, on which ${reliance} relies`,
      'write bind = "host_data" in [delivery] of the base document, or deliver initdata without these files',
    ),
  ];
}

/** Returns the key of `[image]` that relies on the data hub; undefined: none. */
function relianceOn(values: Settled['values']): string | undefined {
  const valueOf = (key: string): unknown =>
    values.find((one) => one.section === 'image' && one.key === key)?.value;
  const { puller, credentials, decryptionKeys } = imageSettings;
  if (valueOf(puller.key) === 'cdh') return `[image] ${puller.key} = "cdh"`;
  const resource = [credentials.key, decryptionKeys.key].find((key) => {
    const value = valueOf(key);
    return typeof value === 'string' && isResource(value);
  });
  return resource === undefined ? undefined : `[image] ${resource}`;
}
