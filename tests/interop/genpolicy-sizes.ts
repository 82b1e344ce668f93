// The documents of ten pods of genpolicy's tests: sizes, times, and the decisions on their cases, as docs/records/genpolicy-cases.md has
// them. Checks the places in rules.rego that docs/records/genpolicy-constraints.md names.
//
//   node tests/dist/interop/genpolicy-sizes.js --source DIR
//
// DIR is a checkout of Kata Containers; nothing of it is in this repository. The exit code is 1 if a place is wrong.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generate, offlineAuthorizer, renderPlan, SandboxView } from '@kata-agent/analysis';
import { claimedName } from '@kata-agent/gate';
import { compileRules } from '@kata-agent/gate/rules';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { isMessage, type JsonObject } from '@bufbuild/protobuf';
import { expectedCalls } from '@kata-agent/workloads';
import { comparedEndpoints } from '../genpolicy/compared-endpoints.js';
import { comparedFields } from '../genpolicy/compared-fields.js';
import { loadedConfiguration } from '../harness/loaded-configuration.js';
import { decideAll, images, readPod } from './genpolicy-decisions.js';

/** The pods, by their directories below the testdata. */
const pods = [
  'copyfile',
  'createcontainer/env_vars',
  'createcontainer/generate_name',
  'createcontainer/gpu_vfio_cdi',
  'createcontainer/security_context/runas',
  'createcontainer/security_context/supplemental_groups',
  'createcontainer/sysctls',
  'createcontainer/volumes/config_map',
  'createcontainer/volumes/emptydir',
  'state/execprocess',
];

const rounds = 9;
const decisionsPerRound = 200;

/** What is measured of one pod. Times of all rounds: milliseconds of a generation, microseconds of a decision. */
interface Measured {
  readonly name: string;
  readonly cells: readonly (string | number)[];
  readonly cases: string;
  readonly generate: () => string;
  readonly decide: () => string;
  readonly generations: number[];
  readonly decisions: number[];
}

const { values } = parseArgs({ options: { source: { type: 'string' } } });
if (values.source === undefined) {
  console.error('usage: node tests/dist/interop/genpolicy-sizes.js --source DIR');
  process.exit(2);
}
const genpolicy = join(values.source, 'src/tools/genpolicy');
const testdata = join(genpolicy, 'tests/policy/testdata');

async function prepare(name: string): Promise<Measured> {
  const directory = join(testdata, name);
  const { text: pod, workload, setup } = readPod(directory);
  // One pod has a mount that only a privileged container can have.
  const written = (explicit: boolean): string =>
    renderPlan(generate([workload], { setup, images, explicit, allowPrivileged: true }), [name]);
  const text = written(false);
  const explicit = written(true);
  const configuration = await loadedConfiguration(text);
  const rules = configuration.api.documents.flatMap((document) => document.rules);
  const authorizer = offlineAuthorizer(configuration, compileRules(rules));
  const view = new SandboxView(authorizer.listeners);
  const calls = expectedCalls(workload, setup, images);
  const at = calls.findIndex(
    ({ request }) => isMessage(request, CreateContainerRequestSchema) && claimedNameOf(request) !== '',
  );
  for (const call of calls.slice(0, at)) view.happened(call);
  const call = calls[at];
  if (call === undefined) throw new Error(`no container of ${name} is created`);
  const context = view.context(call);
  const decided = await decideAll(testdata, directory);
  const count = (allowed: boolean): string => {
    const own = decided.filter((each) => each.allowed === allowed);
    const passed = own.filter(({ deniedBy }) => deniedBy.length === 0).length;
    return `${passed} of ${own.length}`;
  };
  return {
    name,
    cells: [
      Buffer.byteLength(pod),
      linesOf(text),
      Buffer.byteLength(text),
      valuesIn(text),
      linesOf(explicit),
      Buffer.byteLength(explicit),
      explicit.match(/^\[\[api\.rules?\]\]$/gm)?.length ?? 0,
    ],
    cases: `${count(true)} | ${count(false)}`,
    generate: () => written(false),
    decide: () => authorizer.decide(call.method, call.request, context).outcome,
    generations: [],
    decisions: [],
  };
}

function claimedNameOf({ OCI }: CreateContainerRequest): string {
  return claimedName(OCI?.Annotations ?? {});
}

/** Runs all pods in turn, so that what else the machine does is shared by them. The first round is not counted. */
function measureAll(all: readonly Measured[]): void {
  for (let round = 0; round <= rounds; round += 1)
    for (const { name, generate: write, decide, generations, decisions } of all) {
      const begin = performance.now();
      write();
      const middle = performance.now();
      for (let decision = 0; decision < decisionsPerRound; decision += 1)
        if (decide() !== 'allow') throw new Error(`the container of ${name} is refused`);
      const end = performance.now();
      if (round === 0) continue;
      generations.push(middle - begin);
      decisions.push(((end - middle) / decisionsPerRound) * 1000);
    }
}

function spread(times: readonly number[], digits: number): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number): string => (sorted[index] ?? Number.NaN).toFixed(digits);
  return `${at(sorted.length >> 1)} (${at(0)}–${at(sorted.length - 1)})`;
}

function linesOf(text: string): number {
  return text.split('\n').length - 1;
}

/** Counts the values of a pod: texts and booleans of its `[api.values]`. */
function valuesIn(text: string): number {
  const lines = text.slice(text.indexOf('[api.values]')).split('\n');
  return lines
    .filter((line) => !line.trimStart().startsWith('#'))
    .reduce((sum, line) => sum + (line.match(/"(?:[^"\\]|\\.)*"|\b(?:true|false)\b/g)?.length ?? 0), 0);
}

// genpolicy appends `policy_data := ` with the pretty JSON of its data to its rules (src/policy.rs). Beside the containers, all of it is
// from the settings: these members, without those that are not serialized.
function fixedPart(): string {
  const rules = readFileSync(join(genpolicy, 'rules.rego'), 'utf8');
  const settings = JSON.parse(readFileSync(join(genpolicy, 'genpolicy-settings.json'), 'utf8')) as Readonly<
    Record<string, JsonObject>
  >;
  const { image_layer_verification: _unread, ...common } = settings['common'] ?? {};
  const { device_path } = (settings['devices']?.['vfio'] ?? {}) as JsonObject;
  const { cluster_config, request_defaults, sandbox } = settings;
  const data = {
    containers: [],
    common,
    sandbox,
    request_defaults,
    devices: { vfio: { device_path, nvidia: {} } },
    cluster_config,
  };
  const json = JSON.stringify(data, undefined, 2);
  return (
    `genpolicy, the same for each pod: rules.rego ${Buffer.byteLength(rules)} bytes, ${linesOf(rules)} lines; ` +
    `policy_data without containers ${json.length} bytes, ${linesOf(json) + 1} lines; ` +
    `together ${`${rules}\npolicy_data := ${json}`.length} bytes`
  );
}

/** Returns the places that are wrong: a line that is not in the rule of its name, or a name that a rule has after all. */
function wrongPlaces(): readonly string[] {
  const lines = readFileSync(join(genpolicy, 'rules.rego'), 'utf8').split('\n');
  const isInRule = (name: string, number: number): boolean => {
    const begin = lines.findLastIndex((line, index) => index < number && /^[A-Za-z]/.test(line));
    return new RegExp(`^(?:default )?${name}\\b`).test(lines[begin] ?? '');
  };
  const texts = [...comparedFields.map((row) => row.genpolicy ?? ''), ...comparedEndpoints.values()];
  const places = texts.flatMap((text) => [...text.matchAll(/`(?<name>\w+):(?<line>\d+)`/g)]);
  const rules = lines.filter((line) => !/^\s*(?:#|print\()/.test(line)).join('\n');
  const unread = comparedFields.flatMap((row) => row.unread ?? []);
  console.log(`${places.length} places in rules.rego, ${unread.length} names that no rule has`);
  return [
    ...places
      .filter(({ groups }) => !isInRule(groups?.['name'] ?? '', Number(groups?.['line'])))
      .map(([place]) => `rules.rego has no ${place}`),
    ...unread.filter((name) => new RegExp(`\\b${name}\\b`).test(rules)).map((name) => `a rule has ${name}`),
  ];
}

const measured: Measured[] = [];
for (const name of pods) measured.push(await prepare(name));
measureAll(measured);
for (const { name, cells, cases, generations, decisions } of measured)
  console.log(
    `| \`${name}\` | ${cells.join(' | ')} | ${spread(generations, 1)} | ${spread(decisions, 0)} | ${cases} |`,
  );
console.log(fixedPart());
const wrong = wrongPlaces();
for (const place of wrong) console.error(place);
process.exitCode = wrong.length === 0 ? 0 : 1;
