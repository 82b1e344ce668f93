import type { EvidenceSource } from '../configuration.js';
import { nearest } from '../diagnostics/nearest.js';
import { listOfTexts } from './list-of-texts.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const names: readonly EvidenceSource[] = ['configfs-tsm', 'attestation-agent', 'tpm'];

const what = `a list of ${names.map((name) => `"${name}"`).join(', ')}, each once`;

function fromTexts(texts: readonly string[]): Reading<readonly EvidenceSource[]> {
  const unknown = texts.find((text) => !names.some((name) => name === text));
  if (unknown !== undefined) {
    const near = nearest(unknown, names);
    return near === undefined ? expected(what) : expected(what, `did you mean "${near}"?`);
  }
  const sources = names.filter((name) => texts.includes(name));
  return sources.length === texts.length ? read(sources) : expected(what);
}

/** Sources of evidence. */
export const evidenceSources: ValueType<readonly EvidenceSource[]> = listOfTexts({
  name: 'list of sources of evidence',
  what,
  items: { enum: names },
  fromTexts,
});
