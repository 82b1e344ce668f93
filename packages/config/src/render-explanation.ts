import type { SectionName } from './configuration.js';
import { displayText } from './display-text.js';
import type { ExplainedEndpoint, ExplainedSetting, Explanation } from './explain.js';

/** An explanation for people: documents, settings by section, endpoints. */
export function renderExplanation(explanation: Explanation): string {
  const { documents, digest, settings, expansions, endpoints, ignoredOverrides } = explanation;
  const parts = [
    [
      ...documents.map(({ file, source, sha256 }) => `document ${file} (${source})\n  sha256 ${sha256}`),
      ...(documents.length === 0 ? ['no document: the full API is served'] : []),
      `configuration digest ${digest}`,
    ].join('\n'),
    ...(['agent', 'api', 'audit', 'limits'] as const).map((section) => renderSection(section, settings)),
    ...expansions.map(
      ({ list, entry, source, methods }) => `${entry} in ${list} (${source})\n  ${methods.join(', ')}`,
    ),
    renderEndpoints(endpoints),
  ];
  if (ignoredOverrides.length > 0) {
    const lines = ignoredOverrides.map(
      ({ source, value, reason }) => `  ${source}${value === '' ? '' : ` = ${value}`}: ${reason}`,
    );
    parts.push(`ignored overrides\n${lines.join('\n')}`);
  }
  return parts.map((part) => part.split('\n').map(displayText).join('\n')).join('\n\n');
}

function renderSection(section: SectionName, all: readonly ExplainedSetting[]): string {
  const settings = all.filter((setting) => setting.section === section);
  const values = settings.map(({ key, written }) => `${key} = ${written}`);
  const width = columnWidth(values);
  const lines = settings.flatMap(({ source, others }, index) => [
    `  ${(values[index] ?? '').padEnd(width)}  # ${source}`,
    ...others.map(({ value, source, reason }) => `    ${source} said ${String(value)}: ${reason}`),
  ]);
  return `[${section}]\n${lines.join('\n')}`;
}

function renderEndpoints(endpoints: readonly ExplainedEndpoint[]): string {
  const width = Math.max(...endpoints.map(({ method }) => method.length));
  const lines = endpoints.map(({ method, served, built, reason }) => {
    const status = served ? (built ? 'served    ' : 'not built ') : 'not served';
    return `  ${method.padEnd(width)}  ${status}  ${reason}`;
  });
  const served = endpoints.filter(({ served }) => served).length;
  return `endpoints: ${served} of ${endpoints.length} served\n${lines.join('\n')}`;
}

/** As wide as the widest value that is not a long list. */
function columnWidth(values: readonly string[]): number {
  return Math.max(...values.map((value) => value.length).filter((length) => length <= 50), 0);
}
