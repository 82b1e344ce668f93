import { readdirSync, readFileSync } from 'node:fs';

import { fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import { loadConfiguration, type Rule } from '@kata-agent/config';
import type { Decision, RuleContext } from '@kata-agent/gate';
import { compileRules, createRuleChecker, type RuleBook } from '@kata-agent/gate/rules';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';

import { median } from './median.js';
import type { Row } from './row.js';

const root = new URL('../../', import.meta.url);
const examples = new URL('examples/rules/', root);
const golden = new URL('lib/gate/src/rules/golden/create-container.json', root);

const allowed: Decision = {
  outcome: 'allow',
  listener: 'default',
  method: 'CreateContainer',
  reason: 'in allowed_endpoints',
};
const context: RuleContext = {
  listener: 'default',
  peer: { kind: 'vsock', cid: 2 },
  container: {
    id: 'c',
    state: 'none',
    claimed: { image: 'registry.example.com/shop/web:2.14.1', annotations: {} },
  },
  sandbox: { id: 's', containers: [] },
};

/** Measures rules: loading the ready-made set, evaluating it on a 22 KB CreateContainer, and reaching the budget. */
export async function measureRules(quick: boolean): Promise<Row[]> {
  const rules = await readyMadeRules();
  const request = permitted();
  const rounds = quick ? 2_000 : 20_000;
  const book = compileRules(rules);
  const { outcome, reason } = book.decide(allowed, request, context);
  if (outcome !== 'allow') throw new Error(`the request should pass the ready-made set: ${reason}`);
  const asked = rules.filter(({ methods }) => methods.has('CreateContainer')).length;
  const endless = compileRules([{ ...rules[0], ...loops } as Rule]);
  const others: Decision = { ...allowed, method: 'StartContainer' };
  return [
    {
      what: `check and compile the ready-made set (${rules.length} rules)`,
      unit: 'ms',
      ours: milliseconds(quick ? 5 : 20, () => load(rules)),
      goal: { max: 10 },
    },
    {
      what: `the set's ${asked} rules on a 22 KB CreateContainer`,
      unit: 'µs',
      ours: perCall(book, allowed, request, rounds) / 1e3,
      goal: { max: 50 },
    },
    {
      what: 'a method without rules',
      unit: 'ns',
      ours: perCall(book, others, request, rounds * 10),
      goal: { max: 100 },
    },
    {
      what: 'a rule that is stopped by its budget',
      unit: 'ms',
      ours: perCall(endless, allowed, request, 5) / 1e6,
    },
  ];
}

/** A real request with this number of variables, all with names in the set; an annotation fills up its size. */
function permitted(): CreateContainerRequest {
  const text = readFileSync(golden, 'utf8').replaceAll('"/etc/shop/', '"/data/');
  const request = fromJson(CreateContainerRequestSchema, JSON.parse(text) as JsonValue);
  const { OCI } = request;
  if (OCI?.Process === undefined) throw new Error(`${golden.pathname} has no process`);
  OCI.Annotations['kubectl.kubernetes.io/last-applied-configuration'] = OCI.Process.Env.join('\n');
  OCI.Process.Env = OCI.Process.Env.map((_, number) => `NEIGHBOUR_${number}_SERVICE_HOST=10.96.14.20`);
  return request;
}

const loops = {
  expression: 'mounts.all(a, mounts.all(b, mounts.all(c, mounts.all(d, true)))) || true',
  methods: new Map([
    ['CreateContainer', { entry: '', span: { file: '', line: 1, column: 1, endColumn: 1 } }],
  ]),
} as const;

function load(rules: readonly Rule[]): void {
  const checker = createRuleChecker();
  const read = rules.map((rule) => {
    const checked = checker.check({ expression: rule.expression, methods: [...rule.methods.keys()] });
    const [fault] = checked.faults;
    if (fault !== undefined) throw new Error(fault.message);
    return { ...rule, checked };
  });
  compileRules(read);
}

/** The median of 7 passes, in ns. */
function perCall(book: RuleBook, decision: Decision, request: Message, rounds: number): number {
  const pass = (): number => {
    const begin = process.hrtime.bigint();
    for (let round = 0; round < rounds; round += 1) {
      if (book.hasRulesFor(decision.method)) book.decide(decision, request, context);
    }
    return Number(process.hrtime.bigint() - begin) / rounds;
  };
  pass();
  return median(Array.from({ length: 7 }, pass));
}

function milliseconds(times: number, work: () => void): number {
  return median(
    Array.from({ length: times }, () => {
      const begin = process.hrtime.bigint();
      work();
      return Number(process.hrtime.bigint() - begin) / 1e6;
    }),
  );
}

async function readyMadeRules(): Promise<readonly Rule[]> {
  const rules: Rule[] = [];
  for (const name of readdirSync(examples).filter((file) => file.endsWith('.toml'))) {
    const bytes = readFileSync(new URL(name, examples));
    const loaded = await loadConfiguration({
      flags: {},
      environment: {},
      configFlag: name,
      files: { read: () => ({ ok: true, bytes }) },
      rules: () => Promise.resolve(createRuleChecker()),
      delivery: [],
      hostData: () => ({ ok: false, message: 'host data is not used', help: '' }),
    });
    if (!loaded.ok) throw new Error(`${name}: ${loaded.diagnostics[0]?.message}`);
    rules.push(...loaded.configuration.api.documents.flatMap((document) => document.rules));
  }
  return rules;
}
