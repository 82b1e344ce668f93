import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from '../harness/repository.js';

interface CallTree {
  readonly name: string;
  readonly self: number;
  readonly children: ReadonlyMap<string, CallTree>;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const { mergeProfiles, topFunctions, totalTime } = (await import(
  `${repository}bench/dist/cpu-profile.js`
)) as {
  readonly mergeProfiles: (profiles: readonly CpuProfile[]) => CallTree;
  readonly topFunctions: (tree: CallTree, count: number) => readonly { name: string; self: number }[];
  readonly totalTime: (tree: CallTree) => number;
};
const { flameGraph } = (await import(`${repository}bench/dist/flame-graph.js`)) as {
  readonly flameGraph: (tree: CallTree, title: string) => string;
};
const main = join(repository, 'bench/dist/main.js');

const node = (id: number, functionName: string, path: string, children: readonly number[] = []) => ({
  id,
  callFrame: { functionName, url: path === '' ? '' : `file://${repository}${path}`, lineNumber: 6 },
  children,
});

/** `serve` calls `decode` twice, at two places; a third of the time nothing runs. */
const profile: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 3]),
    node(2, '(idle)', ''),
    node(3, 'serve', 'a/serve.js', [4, 5]),
    node(4, 'decode', 'a/decode.js'),
    node(5, 'List<T>', 'a/list.js', [6]),
    node(6, 'decode', 'a/decode.js'),
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [500, 100, 200, 300, 400],
};

describe('CPU profiles of the benchmark', () => {
  it('are merged without the time in which nothing ran', () => {
    const tree = mergeProfiles([profile, profile]);
    assert.equal(totalTime(tree), 2_000);
    assert.deepEqual([...tree.children.keys()], ['serve a/serve.js:7']);
    const serve = tree.children.get('serve a/serve.js:7');
    assert.equal(serve?.self, 200);
    assert.deepEqual([...(serve?.children.keys() ?? [])], ['decode a/decode.js:7', 'List<T> a/list.js:7']);
  });

  it('name the functions with the most time of their own, wherever they were called', () => {
    assert.deepEqual(topFunctions(mergeProfiles([profile]), 2), [
      { name: 'decode a/decode.js:7', self: 600 },
      { name: 'List<T> a/list.js:7', self: 300 },
    ]);
  });

  it('are one SVG with a box for each call, as wide as its time', () => {
    const svg = flameGraph(mergeProfiles([profile]), 'calls');
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="1600" height="68" /);
    const boxes = [
      ...svg.matchAll(/<title>([^<]*)<\/title><rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g),
    ].map(([, title, x, y, width]) => [title, Number(x), Number(y), Number(width)]);
    assert.deepEqual(boxes, [
      ['calls: 1.0 ms, 100.0 %', 0, 0, 1_600],
      ['serve a/serve.js:7: 1.0 ms, 100.0 %', 0, 17, 1_600],
      ['decode a/decode.js:7: 0.2 ms, 20.0 %', 0, 34, 320],
      ['List&lt;T&gt; a/list.js:7: 0.7 ms, 70.0 %', 320, 34, 1_120],
      ['decode a/decode.js:7: 0.4 ms, 40.0 %', 320, 51, 640],
    ]);
  });

  it('without samples are an empty graph', () => {
    assert.match(flameGraph(mergeProfiles([]), 'nothing'), /^<svg [^>]*>\n\n<\/svg>\n$/);
  });
});

describe('the command line of the benchmark', () => {
  it('writes the profile of a part, and prints where the time went', () => {
    const args = [main, '--profile', '--quick', '--only', 'decision'];
    const done = spawnSync(process.execPath, args, { encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stdout, /^build\/profiles\/decision\/bench\.cpuprofile\nself .*\n/);
    assert.match(done.stdout, /% .* ms +decide lib\/gate\/dist\/gate\.js:\d+\n/);
    const graph = /^flame graph: (.*)$/m.exec(done.stdout)?.[1] ?? '';
    assert.ok(existsSync(join(repository, graph)));
    assert.match(readFileSync(join(repository, graph), 'utf8'), /<title>decide lib\/gate/);
  });

  for (const only of [[], ['--only', 'scale']])
    it(`refuses --profile ${only.join(' ') || 'alone'}`, () => {
      const done = spawnSync(process.execPath, [main, '--profile', ...only], { encoding: 'utf8' });
      assert.equal(done.status, 2);
      assert.equal(done.stderr, '--profile needs --only with one part\n');
    });
});
