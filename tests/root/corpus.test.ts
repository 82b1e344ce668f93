import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { repository } from '../harness/repository.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { client, type Replayed, replayAll, sampleFailures, type Setup } from './scenario-replay.js';

// Manifests in the likeness of public ones: what `config generate` says of each, and what an agent says to the calls of its workloads.
// Both stand in verdicts.json, so that each change of them is seen. `UPDATE_VERDICTS=1` writes the file: read the difference.

const directory = `${repository}tests/corpus/`;
const manifests = readdirSync(`${directory}manifests`).toSorted((a, b) => (a < b ? -1 : 1));
const images = Object.entries(
  JSON.parse(readFileSync(`${directory}images.json`, 'utf8')) as Readonly<Record<string, string>>,
);
const verdictsFile = `${directory}verdicts.json`;
const isUpdate = process.env['UPDATE_VERDICTS'] === '1';
const recorded = (isUpdate ? {} : JSON.parse(readFileSync(verdictsFile, 'utf8'))) as Readonly<
  Record<string, Verdict>
>;

const setups: readonly Setup[] = [
  { runtime: 'rs', guest: 'shared-fs' },
  { runtime: 'rs', guest: 'confidential' },
  { runtime: 'go', guest: 'shared-fs' },
  { runtime: 'go', guest: 'confidential' },
];

/** What is said of a manifest with a setup. */
interface Verdict {
  /** `go confidential`. */
  readonly setup: string;
  /** The exit code of `config generate`. */
  readonly code: number;
  /** The error, or the notes that name what is refused or passed over. */
  readonly said?: readonly string[];
  /** By workload: how many of its facts rules constrain, and what the agent refused; nothing: it runs. */
  readonly workloads?: Readonly<
    Record<string, { readonly facts: string; readonly refused?: readonly string[] }>
  >;
}

interface Indexed {
  readonly configurations: readonly {
    readonly name: string;
    readonly score: { readonly constrained: number; readonly facts: number };
    readonly sufficient: boolean;
  }[];
}

describe('manifests in the likeness of public ones', {
  skip: whyNoContainers('iproute2', 'e2fsprogs', 'fdisk', 'util-linux') ?? false,
}, () => {
  const scratch = mkdtempSync(join(tmpdir(), 'kata-agent-corpus-'));
  const verdicts: Record<string, Verdict> = {};
  after(() => {
    rmSync(scratch, { recursive: true });
    if (isUpdate) writeFileSync(verdictsFile, lineForEach(verdicts));
  });

  for (const [index, name] of manifests.entries()) {
    const setup = setups[index % setups.length];
    assert.ok(setup);
    it(`${name} has the verdict that is recorded, and an agent agrees (${setup.runtime}, ${setup.guest})`, async () => {
      verdicts[name] = await verdictOf(name, setup, join(scratch, String(index)));
      if (!isUpdate) assert.deepEqual(verdicts[name], recorded[name]);
    });
  }

  it('a verdict is recorded for nothing else', () => {
    if (!isUpdate) assert.deepEqual(Object.keys(recorded), manifests);
  });
});

async function verdictOf(name: string, setup: Setup, out: string): Promise<Verdict> {
  const file = `${directory}manifests/${name}`;
  const text = readFileSync(file, 'utf8');
  const input = [
    '--pod',
    file,
    ...images
      .filter(([image]) => text.includes(image))
      .flatMap(([image, config]) => ['--image-config', `${image}=${directory}images/${config}`]),
  ];
  const { runtime, guest } = setup;
  const options = [...input, '--runtime', runtime, '--guest', guest];
  const { code, stderr } = await client('config', 'generate', ...options, '--out', out);
  const said = stderr
    .replaceAll(`${directory}manifests/`, '')
    .split('\n')
    .map((line) => line.replace('kata-agent-ctl: ', ''))
    .filter((line) => code === 1 || /refused with|will not run|is skipped|allows this/.test(line))
    .filter((line) => line !== '');
  const verdict = { setup: `${runtime} ${guest}`, code, ...(said.length === 0 ? {} : { said }) };
  if (code !== 0 && code !== 4) return verdict;
  const index = JSON.parse(readFileSync(join(out, 'index.json'), 'utf8')) as Indexed;
  const replayed = await replayAll(input, setup);
  const workloads = index.configurations.map(({ name: workload, score, sufficient }) => {
    const refused = refusedOf(replayed.find((each) => each.workload === workload));
    assert.equal(refused.length === 0, sufficient, `${workload}: the agent disagrees: ${refused.join('; ')}`);
    const facts = `${score.constrained} of ${score.facts}`;
    return [workload, refused.length === 0 ? { facts } : { facts, refused }] as const;
  });
  return { ...verdict, workloads: Object.fromEntries(workloads) };
}

/** What the agent did not do, once each. */
function refusedOf(replayed: Replayed | undefined): readonly string[] {
  assert.ok(replayed);
  const { refused, failed } = replayed.outcome;
  const texts = [...refused, ...failed].map(
    ({ method, status, serverMessage }) => `${method}: ${status}: ${serverMessage}`,
  );
  const own = texts.filter((text) => !sampleFailures.some((pattern) => pattern.test(text)));
  return [...new Set(own.map((text) => text.replaceAll(/\/tmp\/[^ ,;:)"]*/g, '/tmp/…')))].slice(0, 3);
}

function lineForEach(verdicts: Readonly<Record<string, Verdict>>): string {
  const lines = Object.entries(verdicts).map(
    ([name, verdict]) => `  ${JSON.stringify(name)}: ${JSON.stringify(verdict)}`,
  );
  return `{\n${lines.join(',\n')}\n}\n`;
}
