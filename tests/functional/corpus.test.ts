import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkWorkload, generate, openLine, renderPlan } from '@kata-agent/analysis';
import { compileRules } from '@kata-agent/gate/rules';
import {
  type ImageConfigs,
  type Manifests,
  parseImageConfig,
  passedOverText,
  readManifests,
  type RuntimeSetup,
  type Workload,
  WorkloadError,
} from '@kata-agent/workloads';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { repository } from '../harness/repository.js';

// What is said of manifests in the likeness of public ones: each change of a result is seen. `UPDATE_RESULTS=1 npm test --
// functional/corpus` writes the file: read the difference before it is committed.

const directory = join(repository, 'tests/corpus');
const resultsFile = join(directory, 'results.json');
const isUpdate = process.env['UPDATE_RESULTS'] === '1';

const setups: readonly RuntimeSetup[] = [
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
];

const images: ImageConfigs = new Map(
  Object.entries(readJson('images.json') as Readonly<Record<string, string>>).map(([image, file]) => [
    image,
    parseImageConfig(readFileSync(join(directory, 'images', file), 'utf8')),
  ]),
);

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

const manifests = readdirSync(join(directory, 'manifests')).toSorted((a, b) => (a < b ? -1 : 1));
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
  let read: Manifests;
  try {
    const text = readFileSync(join(directory, 'manifests', name), 'utf8');
    read = readManifests([{ file: name, text }]);
  } catch (error) {
    if (error instanceof WorkloadError) return error.message;
    throw error;
  }
  const found: Record<string, Result | readonly string[]> = {};
  for (const workload of read.workloads)
    for (const setup of setups)
      found[`${workload.kind} ${workload.name}, ${setup.runtime} ${setup.guest}`] = await resultOn(
        workload,
        setup,
      );
  const passedOver = read.passedOver.map(passedOverText);
  return { ...found, ...(passedOver.length === 0 ? {} : { passedOver }) };
}

async function resultOn(workload: Workload, setup: RuntimeSetup): Promise<Result> {
  const plan = generate([workload], { setup, images });
  const { constrained, facts } = plan.score;
  // The guest's puller is chosen by hand.
  const puller = setup.guest === 'confidential' ? '\n[image]\npuller = "cdh"\n' : '';
  const configuration = await loadedConfiguration(renderPlan(plan, []) + puller);
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

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(join(directory, name), 'utf8'));
}
