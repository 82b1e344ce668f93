import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generate, renderPlan } from '@kata-agent/analysis';
import { agentAnswers, type Decisions, known } from '../corpus/agent-decisions.js';
import { corpusPage, type DocumentRow } from '../corpus/corpus-page.js';
import {
  corpusFile,
  documentName,
  generated,
  images,
  manifests,
  readJson,
  readManifest,
  setups,
} from '../corpus/corpus.js';
import { openReasons } from '../corpus/open-reasons.js';
import { repository } from '../harness/repository.js';

// What an agent does with the calls of each pod of the corpus, and with changed ones, under the configuration that is generated for the
// pod: all over a unix socket. `UPDATE_RESULTS=1 npm test -- functional/corpus-agent` writes the files, and
// `npx biome check --write tests` formats them: read the difference before it is committed.

const decisionsFile = corpusFile('decisions.json');
const page = join(repository, 'docs/records/corpus.md');
const isUpdate = process.env['UPDATE_RESULTS'] === '1';

/** Of reviewed changes only the number is recorded: the page has the fields. */
type RecordedDecisions = Omit<Decisions, 'known'> & { readonly known?: number };

/** By document. */
type OfManifest = Readonly<Record<string, RecordedDecisions>>;

const recorded = (isUpdate ? {} : readJson('decisions.json')) as Readonly<Record<string, OfManifest>>;
const outcomes: Record<string, OfManifest> = {};
const rows: DocumentRow[] = [];
const errors = manifests.filter((name) => typeof readManifest(name) === 'string');

after(() => {
  if (!isUpdate) return;
  writeFileSync(decisionsFile, `${JSON.stringify(outcomes, undefined, 2)}\n`);
  writeFileSync(page, corpusPage(rows, errors));
});

for (const manifest of manifests) {
  const read = readManifest(manifest);
  if (typeof read === 'string') continue;
  test(`${manifest}: an agent decides as it is recorded, and serves nothing else`, async () => {
    const found: Record<string, RecordedDecisions> = {};
    const faults: string[] = [];
    for (const workload of read.workloads)
      for (const setup of setups) {
        const made = await generated(workload, setup);
        const answers = await agentAnswers({ manifest, workload, setup, generated: made });
        faults.push(...answers.faults);
        const { decisions } = answers;
        const explicit = renderPlan(generate([workload], { setup, images, explicit: true }), []);
        found[documentName(workload, setup)] = recordedForm(decisions);
        rows.push({
          manifest,
          containers: workload.containers.length,
          lines: linesOf(made.text),
          explicitLines: linesOf(explicit),
          hasOwnRules: /^\[\[api\.rules?\]\]$/m.test(made.text),
          open: openReasons(made.plan),
          decisions,
        });
      }
    outcomes[manifest] = found;
    assert.deepEqual(faults, []);
    if (!isUpdate) assert.deepEqual(found, recorded[manifest]);
  });
}

test('decisions are recorded for nothing else, and each known difference is there', () => {
  if (!isUpdate) assert.deepEqual(Object.keys(recorded), Object.keys(outcomes));
  assert.deepEqual(known.unneeded(), []);
});

test('docs/records/corpus.md has these counts', () => {
  if (!isUpdate) assert.equal(corpusPage(rows, errors), readFileSync(page, 'utf8'));
});

function recordedForm({ known: served, ...others }: Decisions): RecordedDecisions {
  if (served === undefined) return others;
  return { ...others, known: Object.values(served).reduce((sum, each) => sum + each, 0) };
}

function linesOf(text: string): number {
  return text.split('\n').length - 1;
}
