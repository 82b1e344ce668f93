import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import { celEnv, isCelError, parse, plan } from '@bufbuild/cel';
import { create, createRegistry } from '@bufbuild/protobuf';
import { ExecProcessRequestSchema, file_agent } from '@kata-agent/protocol/agent';
import * as fc from 'fast-check';
import { compileRule } from './compile/compile-rule.js';
import { CallValues } from './rule-book.js';
import { Frame, RuleError } from './language/compiled.js';
import { context } from './rules.test.fixture.js';

/** Generates random expressions of a requested type from a tape of numbers that fast-check can shrink. */
class Writer {
  readonly #tape: readonly number[];
  readonly #lists: string[] = [
    'args',
    'request.process.Args',
    'request.process.Env',
    '["a", "b", ""]',
    '(["a"] + args)',
  ];
  readonly #texts: string[] = [
    '"a"',
    '"häuser"',
    '""',
    'request.exec_id',
    'args[0]',
    'args[7]',
    'env.HOME',
    'env["NO"]',
    '("a" + "b")',
  ];
  readonly #numbers: string[] = [
    '0',
    '1',
    '-3',
    '9223372036854775807',
    'size(args)',
    'request.process.OOMScoreAdj',
    'env.size()',
    '"ä😀".size()',
  ];
  #at = 0;
  #variables = 0;

  constructor(tape: readonly number[]) {
    this.#tape = tape;
  }

  condition(depth: number): string {
    if (depth <= 0)
      return this.#pick([
        'true',
        'terminal',
        'request.process.NoNewPrivileges',
        'has(request.process)',
        'has(env.HOME)',
        '"A" in env',
      ]);
    const next = depth - 1;
    switch (this.#take(13)) {
      case 0:
        return `(${this.condition(next)} && ${this.condition(next)})`;
      case 1:
        return `(${this.condition(next)} || ${this.condition(next)})`;
      case 2:
        return `!(${this.condition(next)})`;
      case 3:
        return `(${this.condition(next)} ? ${this.condition(next)} : ${this.condition(next)})`;
      case 4:
        return `(${this.#text(next)} ${this.#pick(['==', '!=', '<', '<=', '>', '>='])} ${this.#text(next)})`;
      case 5:
        return `(${this.#number(next)} ${this.#pick(['==', '!=', '<', '<=', '>', '>='])} ${this.#number(next)})`;
      case 6:
        return `(${this.#text(next)} in ${this.#list(next)})`;
      case 7:
        return `${this.#text(next)}.${this.#pick(['startsWith', 'endsWith', 'contains'])}(${this.#text(next)})`;
      case 8:
        return `${this.#text(next)}.matches("${this.#pick(['^a', 'b+$', '[ab]', '^$', '.'])}")`;
      case 9:
        return `(${this.#list(next)} == ${this.#list(next)})`;
      case 10:
        return `(request.process.User.UID ${this.#pick(['==', '<', '>='])} ${this.#number(next)})`;
      case 11:
        return `(request.process.User.AdditionalGids.exists(${this.#fresh()}, ${this.condition(next)}))`;
      default:
        return this.#macro(this.#pick(['all', 'exists', 'exists_one']), next);
    }
  }

  #text(depth: number): string {
    if (depth <= 0) return this.#pick(this.#texts);
    const next = depth - 1;
    switch (this.#take(5)) {
      case 0:
        return `(${this.#text(next)} + ${this.#text(next)})`;
      case 1:
        return `(${this.condition(next)} ? ${this.#text(next)} : ${this.#text(next)})`;
      case 2:
        return `${this.#list(next)}[${this.#number(next)}]`;
      case 3:
        return `string(${this.#number(next)})`;
      default:
        return this.#pick(this.#texts);
    }
  }

  #number(depth: number): string {
    if (depth <= 0) return this.#pick(this.#numbers);
    const next = depth - 1;
    switch (this.#take(4)) {
      case 0:
        return `(${this.#number(next)} ${this.#pick(['+', '-', '*', '/', '%'])} ${this.#number(next)})`;
      case 1:
        return `${this.#text(next)}.size()`;
      case 2:
        return `{"a": ${this.#number(next)}, "b": 1}[${this.#text(next)}]`;
      default:
        return this.#pick(this.#numbers);
    }
  }

  #list(depth: number): string {
    if (depth <= 0) return this.#pick(this.#lists);
    const next = depth - 1;
    switch (this.#take(4)) {
      case 0:
        return `[${this.#text(next)}, ${this.#text(next)}]`;
      case 1:
        return this.#macro('filter', next);
      case 2: {
        const list = this.#list(next);
        return `${list}.map(${this.#scoped((name) => `${name}, ${this.#text(next)}`)})`;
      }
      default:
        return this.#pick(this.#lists);
    }
  }

  #macro(name: string, depth: number): string {
    const list = this.#take(3) === 0 ? 'env' : this.#list(depth);
    return `${list}.${name}(${this.#scoped((variable) => `${variable}, ${this.condition(depth)}`)})`;
  }

  /** Writes a body with a variable in scope. */
  #scoped(body: (name: string) => string): string {
    const name = this.#fresh();
    this.#texts.push(name, name, name);
    const written = body(name);
    this.#texts.splice(-3);
    return written;
  }

  #fresh(): string {
    this.#variables += 1;
    return `v${this.#variables}`;
  }

  #pick(words: readonly string[]): string {
    return words[this.#take(words.length)] ?? '';
  }

  #take(below: number): number {
    const value = this.#tape[this.#at % Math.max(1, this.#tape.length)] ?? 0;
    this.#at += 1;
    return value % below;
  }
}

const request = create(ExecProcessRequestSchema, {
  containerId: 'c1',
  execId: 'e1',
  process: {
    Args: ['a', 'ab', 'häuser'],
    Env: ['HOME=/root', 'A=b'],
    User: { UID: 3, AdditionalGids: [1, 2] },
    Terminal: true,
    OOMScoreAdj: -5n,
  },
});

const reference = celEnv({ registry: createRegistry(file_agent) });
const env = new Map([
  ['HOME', '/root'],
  ['A', 'b'],
]);
const bindings = { request, args: ['a', 'ab', 'häuser'], env, terminal: true };

/** Evaluates the expression with the CEL library; the project's own names are passed in. */
function referenceResult(expression: string): unknown {
  const value = plan(reference, parse(expression))(bindings);
  return isCelError(value) ? 'error' : value;
}

function ourResult(expression: string): unknown {
  const { faults, plans } = compileRule({ expression, methods: ['ExecProcess'] });
  // A constant subexpression already fails when the rule is loaded.
  if (faults.length > 0) return faults.every(({ message }) => isComputed(message)) ? 'fault' : faults;
  const compiled = plans.get('ExecProcess');
  assert.ok(compiled);
  const values = new CallValues(request, context);
  const frame = new Frame(compiled.slots, 10_000_000);
  for (const { name, slot } of compiled.inputs) frame.slots[slot] = values.get(name);
  try {
    return compiled.run(frame);
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    return 'error';
  }
}

function isComputed(message: string): boolean {
  return /^this cannot be computed|^this divides by zero|none is before it$|has this key twice$/.test(
    message,
  );
}

test('checked expressions evaluate as in the reference implementation', () => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.array(fc.nat(1000), { minLength: 5, maxLength: 80 }),
      fc.integer({ min: 1, max: 4 }),
      (tape, depth) => {
        const expression = new Writer(tape).condition(depth);
        const ours = ourResult(expression);
        if (ours === 'fault') return;
        compared += 1;
        const theirs = referenceResult(expression);
        assert.deepEqual(
          ours,
          theirs,
          `${expression}: we say ${JSON.stringify(ours)}, the reference ${String(theirs)}`,
        );
      },
    ),
    { numRuns: runs(3_000), includeErrorInReport: true },
  );
  assert.ok(compared > timesSeen(1_500), `only ${compared} expressions were compared`);
});
