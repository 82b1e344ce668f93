import { writeFileSync } from 'node:fs';
import { expectedOf, setups, workloadFiles } from './expected-requests.js';
import { candidates, sample, tryMutation, type Candidate } from './run-mutations.js';
const t0 = Date.now();
const all: Candidate[] = [];
for (const file of workloadFiles) for (const setup of setups) for (const e of await expectedOf(file, setup)) all.push(...candidates(e));
console.log('candidates', all.length, Date.now() - t0);
const chosen = sample(all, Number(process.argv[2] ?? 4));
console.log('chosen', chosen.length, Date.now() - t0);
const counts = new Map<string, number>();
const lines: string[] = [];
for (const c of chosen) {
  const o = tryMutation(c);
  counts.set(String(o.refusedBy), (counts.get(String(o.refusedBy)) ?? 0) + 1);
  if (o.refusedBy !== 'gate') lines.push(`${o.refusedBy}\t${o.call.method}\t${o.mutation.field}\t${o.mutation.kind}\t${o.expected.setup.runtime} ${o.expected.setup.guest}\t${o.call.because}\t${o.mutation.detail}\t${o.reason}\t${o.expected.name}`);
}
console.log(counts, Date.now() - t0);
writeFileSync('/tmp/gen-explore.tsv', lines.join('\n'));
