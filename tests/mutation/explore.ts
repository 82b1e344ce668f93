import { writeFileSync } from 'node:fs';
import { SandboxView } from '@kata-agent/analysis';
import { expectedOf, setups, workloadFiles } from './expected-requests.js';
import { candidates, sample, tryMutation, type Candidate } from './run-mutations.js';
import { sequences, sequenceRefusal } from './sequences.js';
const t0 = Date.now();
const all: Candidate[] = [];
const seq = new Map<string, string>();
const seen = new Map<string, number>();
let n = 0;
for (const file of workloadFiles) for (const setup of setups) for (const e of await expectedOf(file, setup)) {
  const view = new SandboxView(e.judge.listeners);
  for (const call of e.calls) { const d = e.judge.decide(call.method, call.request, view.next(call)); if (d.outcome === 'deny') console.log('BASE', e.name, call.method, call.because, d.reason); }
  for (const s of sequences(e)) {
    const key = `${setup.runtime} ${setup.guest} ${s.kind} ${s.about}`;
    const c = seen.get(key) ?? 0; seen.set(key, c + 1); if (c > 1) continue;
    n++;
    seq.set(`${s.kind}\t${s.about}\t${sequenceRefusal(e, s.calls) ?? 'PASSES'}`, e.name);
  }
  all.push(...candidates(e));
}
console.log('candidates', all.length, 'sequences', n, Date.now() - t0);
writeFileSync('/tmp/gen-seq.tsv', [...seq].map(([a, b]) => `${a}\t${b}`).sort().join('\n'));
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
