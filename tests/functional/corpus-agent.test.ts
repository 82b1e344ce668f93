import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { agentAnswers, type Decisions, known } from '../corpus/agent-decisions.js';
import {
  corpusFile,
  documentName,
  generated,
  manifests,
  readJson,
  readManifest,
  setups,
} from '../corpus/corpus.js';

// What an agent does with the calls of each pod of the corpus, and with changed ones, under the configuration that is generated for the
// pod: all over a unix socket. `UPDATE_RESULTS=1 npm test -- functional/corpus-agent` writes the files: read the difference before it is
// committed.

const decisionsFile = corpusFile('decisions.json');
const isUpdate = process.env['UPDATE_RESULTS'] === '1';

/** By manifest and document. */
type Recorded = Readonly<Record<string, Readonly<Record<string, Decisions>>>>;

const recorded = (isUpdate ? {} : readJson('decisions.json')) as Recorded;
const outcomes: Record<string, Readonly<Record<string, Decisions>>> = {};

after(() => {
  if (isUpdate) writeFileSync(decisionsFile, `${JSON.stringify(outcomes, undefined, 2)}\n`);
});

for (const manifest of manifests) {
  const read = readManifest(manifest);
  if (typeof read === 'string') continue;
  test(`${manifest}: an agent decides as it is recorded, and serves nothing else`, async () => {
    const found: Record<string, Decisions> = {};
    const faults: string[] = [];
    for (const workload of read.workloads)
      for (const setup of setups) {
        const document = { manifest, workload, setup, generated: await generated(workload, setup) };
        const answers = await agentAnswers(document);
        found[documentName(workload, setup)] = answers.decisions;
        faults.push(...answers.faults);
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
