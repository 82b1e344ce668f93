import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
}

type Outcome = { readonly part: string; readonly rows?: readonly Row[]; readonly error?: string };

interface Part {
  readonly name: string;
  readonly needs: readonly string[];
  readonly measure: () => readonly Row[] | Promise<readonly Row[]>;
}

interface Report {
  add(outcome: Outcome): void;
  end(): void;
}

/** What the benchmark's modules export; the tests do not depend on the package. */
interface Bench {
  readonly runParts: (
    parts: readonly Part[],
    progress: {
      readonly missing: ReadonlySet<string>;
      readonly begun: (part: string) => void;
      readonly report: (outcome: Outcome) => void;
      readonly late: (error: unknown) => void;
    },
  ) => Promise<readonly string[]>;
  readonly textReport: (write: (text: string) => void) => Report;
  readonly jsonReport: (write: (text: string) => void) => Report;
}

async function loadBench(): Promise<Bench> {
  const modules = ['run-parts', 'report'].map(
    (name) => import(`${repository}bench/dist/${name}.js`) as Promise<Partial<Bench>>,
  );
  return Object.assign({}, ...(await Promise.all(modules))) as Bench;
}

const { runParts, textReport, jsonReport } = await loadBench();
const main = join(repository, 'bench/dist/main.js');

const row = (what: string): Row => ({ what, unit: 'ms', ours: 1.5 });
const good = (name: string): Part => ({ name, needs: ['good'], measure: () => [row(`row of ${name}`)] });
const failing = (name: string, measure: Part['measure']): Part => ({ name, needs: [], measure });

/** Runs parts; returns the output, and the output before each part. */
async function run(
  parts: readonly Part[],
  report: (write: (text: string) => void) => Report = textReport,
  missing: readonly string[] = [],
): Promise<{
  readonly text: string;
  readonly before: ReadonlyMap<string, string>;
  readonly failed: readonly string[];
}> {
  let text = '';
  const before = new Map<string, string>();
  const reporting = report((more) => {
    text += more;
  });
  const failed = await runParts(parts, {
    missing: new Set(missing),
    begun: (part) => before.set(part, text),
    report: (outcome) => reporting.add(outcome),
    late: (error) => assert.fail(String(error)),
  });
  reporting.end();
  return { text, before, failed };
}

describe('benchmark parts', () => {
  it('are printed when they end', async () => {
    const { text, before, failed } = await run([good('one'), good('two')]);
    assert.deepEqual(failed, []);
    assert.match(before.get('two') ?? '', /^one +ours.*\nrow of one +1\.50 /);
    assert.doesNotMatch(before.get('two') ?? '', /row of two/);
    assert.match(text, /\ntwo +ours.*\nrow of two +1\.50 /);
  });

  const setUp = () => {
    throw new Error('no directory\nhelp: create one');
  };
  for (const [name, measure, output] of [
    ['in set-up', setUp, 'no directory'],
    ['in the middle', async () => Promise.reject(new Error('failed later')), 'failed later'],
  ] as const) {
    it(`that fail ${name} are reported in order, and the others run`, async () => {
      const { text, failed } = await run([good('one'), failing('bad', measure), good('two')]);
      assert.deepEqual(failed, ['bad']);
      const at = ['row of one', `bad: failed: ${output}`, 'row of two'].map((part) => text.indexOf(part));
      assert.ok(
        at.every((place, index) => place > (at[index - 1] ?? -1)),
        text,
      );
    });
  }

  // In a separate process: the test runner handles such errors too.
  for (const [name, stray] of [
    [
      'an error event without a listener',
      'setImmediate(() => new EventEmitter().emit("error", new Error("unheard")))',
    ],
    ['an unhandled rejection', 'Promise.reject(new Error("unheard"))'],
  ] as const) {
    it(`that fail by ${name} are reported too`, () => {
      const script = `
        import { EventEmitter } from 'node:events';
        import { runParts } from '${repository}bench/dist/run-parts.js';
        const rows = [];
        const bad = () => { ${stray}; return new Promise(() => setTimeout(() => undefined, 2 ** 30)); };
        const parts = [{ name: 'bad', needs: [], measure: bad }, { name: 'two', needs: [], measure: () => rows }];
        const report = (outcome) => console.log(JSON.stringify(outcome));
        await runParts(parts, { missing: new Set(), begun: () => undefined, report, late: console.error });
        process.exit(0);
      `;
      const done = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      assert.equal(done.stdout, '{"part":"bad","error":"unheard"}\n{"part":"two","rows":[]}\n', done.stderr);
    });
  }

  it('that need a missing package name it, and do not affect others', async () => {
    const { text, failed } = await run([good('one'), failing('two', () => [row('row of two')])], textReport, [
      'good',
    ]);
    assert.deepEqual(failed, ['one']);
    assert.match(
      text,
      /one: failed: it needs Debian packages that are missing: good\n +help: as root: apt-get install good/,
    );
    assert.match(text, /row of two/);
  });

  it('are one array in JSON, one element per line, also if interrupted', async () => {
    const { text, before } = await run([good('one'), failing('bad', setUp), good('two')], jsonReport);
    const elements = JSON.parse(text) as readonly {
      readonly part: string;
      readonly what?: string;
      readonly error?: string;
    }[];
    assert.deepEqual(
      elements.map(({ part, what, error }) => [part, what ?? error]),
      [
        ['one', 'row of one'],
        ['bad', 'no directory\nhelp: create one'],
        ['two', 'row of two'],
      ],
    );
    const lines = (before.get('two') ?? '').split('\n').slice(1);
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line.replace(/,$/, '')) as { part: string }).part),
      ['one', 'bad'],
    );
    assert.deepEqual(JSON.parse((await run([], jsonReport)).text), []);
  });
});

describe('the command line of the benchmark', () => {
  const missing = ['--missing', 'golang-go,busybox-static'];

  it('prints failures on a pipe, and exits with 1', () => {
    const done = spawnSync(process.execPath, [main, '--quick', '--only', 'calls', ...missing], {
      encoding: 'utf8',
    });
    assert.equal(done.status, 1, done.stderr);
    assert.match(done.stdout, /^calls: failed: it needs Debian packages that are missing: golang-go\n/);
    assert.match(done.stderr, /failed: calls\n$/);
  });

  // The benchmark depends on contents of the examples.
  for (const part of ['decision', 'rules'])
    it(`measures ${part}, and exits with 0, even if packages that it does not need are missing`, () => {
      const args = [main, '--quick', '--only', part, '--format', 'json', ...missing];
      const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
      assert.equal(done.status, 0, done.stdout + done.stderr);
      const elements = JSON.parse(done.stdout) as readonly { readonly part: string; readonly ours: number }[];
      assert.deepEqual([...new Set(elements.map((element) => element.part))], [part]);
      assert.ok(elements.every(({ ours }) => ours > 0));
    });

  it('prints its usage', () => {
    const done = spawnSync(process.execPath, [main, '--help'], { encoding: 'utf8' });
    assert.equal(done.status, 0);
    assert.match(done.stdout, /^Usage: .*\n[^]*Example: .*\n[^]*--only PART +calls, decision, /);
  });

  it('exits with 2 at an unknown part', () => {
    const done = spawnSync(process.execPath, [main, '--only', 'nothing'], { encoding: 'utf8' });
    assert.equal(done.status, 2);
    assert.match(done.stderr, /known are calls, decision/);
  });

  it('completes its document when interrupted', async () => {
    const bench = spawn(process.execPath, [main, '--format', 'json', ...missing], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    bench.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
    const closed = once(bench, 'close');
    await new Promise<void>((resolve) => {
      bench.stderr.setEncoding('utf8').on('data', (line: string) => {
        if (line.includes('• decision')) resolve();
      });
    });
    bench.kill('SIGTERM');
    assert.deepEqual(await closed, [143, null]);
    const elements = JSON.parse(text) as readonly { readonly part: string; readonly error?: string }[];
    assert.equal(elements[0]?.part, 'calls');
    assert.match(elements.at(-1)?.error ?? '', /^interrupted by SIGTERM$/);
  });
});
