import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { checkWorkload, openLine } from '@kata-agent/analysis';
import { compileRules } from '@kata-agent/gate/rules';
import { passedOverText, type RuntimeSetup, type Workload } from '@kata-agent/workloads';
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

// What is said of manifests in the likeness of public ones: each change of a result is seen. `UPDATE_RESULTS=1 npm test --
// functional/corpus` writes the file: read the difference before it is committed.

const resultsFile = corpusFile('results.json');
const isUpdate = process.env['UPDATE_RESULTS'] === '1';

/** What is said of a workload with a setup. */
interface Result {
  /** Facts that rules constrain, of all. */
  readonly facts: string;
  /** Calls that the generated configuration refuses, with the reasons; absent: none. */
  readonly refused?: readonly string[];
  /** What no configuration allows; absent: nothing. */
  readonly unbuilt?: readonly string[];
  readonly open?: readonly string[];
  readonly notes?: readonly string[];
}

/** By manifest: its error, or the result on each workload by setup, and the objects that are passed over. */
type Said = string | Readonly<Record<string, Result | readonly string[]>>;

const recorded = (isUpdate ? {} : readJson('results.json')) as Readonly<Record<string, Said>>;
const outcomes: Record<string, Said> = {};

after(() => {
  if (isUpdate) writeFileSync(resultsFile, `${JSON.stringify(outcomes, undefined, 2)}\n`);
});

for (const name of manifests)
  test(`${name} has the result that is recorded`, async () => {
    const found = await saidOf(name);
    outcomes[name] = found;
    if (!isUpdate) assert.deepEqual(found, recorded[name]);
  });

test('there are many manifests, and a result is recorded for nothing else', () => {
  assert.ok(manifests.length >= 105);
  if (!isUpdate) assert.deepEqual(Object.keys(recorded), manifests);
});

async function saidOf(name: string): Promise<Said> {
  const read = readManifest(name);
  if (typeof read === 'string') return read;
  const found: Record<string, Result | readonly string[]> = {};
  for (const workload of read.workloads)
    for (const setup of setups) found[documentName(workload, setup)] = await resultOn(workload, setup);
  const passedOver = read.passedOver.map(passedOverText);
  return { ...found, ...(passedOver.length === 0 ? {} : { passedOver }) };
}

async function resultOn(workload: Workload, setup: RuntimeSetup): Promise<Result> {
  const { plan, configuration } = await generated(workload, setup);
  const { constrained, facts } = plan.score;
  const { refused, unbuilt } = checkWorkload(workload, {
    configuration,
    compile: compileRules,
    setup,
    images,
  });
  const lines = {
    refused: refused.map(({ method, because, decision }) => `${method} of ${because}: ${decision.reason}`),
    unbuilt: unbuilt.map(({ kind, name, because }) => `${kind} ${name}: ${because}`),
    open: plan.open.map(openLine),
    notes: workload.notes,
  };
  return {
    facts: `${constrained} of ${facts}`,
    ...Object.fromEntries(Object.entries(lines).filter(([, each]) => each.length > 0)),
  };
}
