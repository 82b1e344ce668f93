import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { agentLogSigner, parseCheckpoint } from '@kata-agent/tlog';
import { Tally } from '../coalesce/tally.js';
import { closedNumbers, segmentPath } from '../file-layer.js';
import { keptPath } from '../retention/kept-file.js';
import { head } from './head.js';
import type { AuditRecord, Position } from '../record/record.js';
import { allowed, denied, ok, openSample, sampleCall } from '../testing/sample.js';
import type { TrustedCheckpoint } from '../tree/checkpoint-check.js';
import { verify } from './verify.js';

/** The lines of each file of a log, oldest segment first; undefined: there is no such file. */
interface Files {
  kept: string[] | undefined;
  segments: (string[] | undefined)[];
}

interface Sample {
  readonly paths: { readonly kept: string; readonly segments: readonly string[] };
  readonly files: Files;
  readonly head: Position;
  readonly checkpoint: TrustedCheckpoint;
}

type Json = Record<string, unknown>;

/** Two starts of an agent, whose first segments rotation has removed. */
async function writeSample(t: TestContext, records: number, maxSize: number): Promise<Sample> {
  let file: string | undefined;
  let checkpoint: TrustedCheckpoint | undefined;
  for (const boot of ['one', 'two']) {
    const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
    const options = { maxSize, keep: 6, bootId: boot, signer, ...(file === undefined ? {} : { file }) };
    const { log, file: opened, clock } = await openSample(t, options);
    file = opened;
    await log.boot({ version: boot });
    for (let n = 0; n < records / 4; n += 1) {
      const call = sampleCall({ subject: { containerId: `${boot}-c${n}` }, method: `m${n % 5}` });
      if (n % 3 === 0) log.refuse(call, denied);
      if (n % 3 === 1) log.observe(call, allowed, ok);
      log.outcome(await log.intent(call, allowed), call, ok);
      clock.pass(1);
    }
    // What is counted is written, so that the checkpoint covers all.
    clock.pass(20_000);
    const signed = await log.checkpoint();
    checkpoint = {
      checkpoint: parseCheckpoint(signed.checkpoint),
      key: signer.verifier,
      witnesses: [],
      quorum: 1,
    };
    await log.close();
  }
  assert.ok(file !== undefined && checkpoint !== undefined);
  const numbers = [...(await closedNumbers(file)).reverse(), 0];
  const paths = { kept: keptPath(file), segments: numbers.map((n) => segmentPath(file, n)) };
  const linesOf = (path: string): string[] => readFileSync(path, 'latin1').split('\n').slice(0, -1);
  return {
    paths,
    files: { kept: linesOf(paths.kept), segments: paths.segments.map(linesOf) },
    head: await head(file),
    checkpoint,
  };
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

/** The record of a line again with a hash that is right. */
function seal(open: string): string {
  return `${open},"hash":"${createHash('sha256').update(`\0${open}}`).digest('hex')}"}`;
}

const openOf = (line: string): string => line.slice(0, line.lastIndexOf(',"hash":"'));

/** As seal, of a changed record. */
function reseal(line: string, change: (record: Json) => Json): string {
  const { hash: _, ...record } = change(JSON.parse(line) as Json);
  return seal(JSON.stringify(record).slice(0, -1));
}

const hashOf = (line: string): string => (JSON.parse(line) as AuditRecord).hash;

/** Makes the chain right from a line of a segment on, with right summaries, as somebody does who writes a log of their own. */
function rechain(files: Files, segment: number, line: number): void {
  let before: Position | undefined;
  for (const [at, lines] of files.segments.entries()) {
    if (lines === undefined) continue;
    let start: Position | undefined;
    const tally = new Tally();
    for (const [index, text] of lines.entries()) {
      const record = JSON.parse(text) as AuditRecord & Json;
      const own = at > segment || (at === segment && index >= line);
      before ??= { sequence: record.sequence - 1, hash: record.prev };
      start ??= before;
      if (record.kind !== 'rotated') tally.add(record);
      if (own) {
        const { sequence, hash: prev } = before;
        const summary = {
          ...(record['segment'] as Json),
          after: start,
          last: before,
          counts: tally.counts(),
        };
        lines[index] = reseal(text, (each) => ({
          ...each,
          sequence: sequence + 1,
          prev,
          ...(record.kind === 'rotated' ? { segment: summary } : {}),
        }));
      }
      before = { sequence: before.sequence + 1, hash: hashOf(lines[index] ?? '') };
    }
  }
}

/** A sequence of numbers that is the same with each run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Place {
  readonly segment: number;
  readonly line: number;
}

class Mutant {
  readonly files: Files;
  readonly pick: (below: number) => number;
  /** The end of the newest segment that is not a line. */
  rest = '';

  constructor({ kept, segments }: Files, pick: (below: number) => number) {
    this.files = { kept: kept && [...kept], segments: segments.map((lines) => lines && [...lines]) };
    this.pick = pick;
  }

  lines(segment: number): string[] {
    return this.files.segments[segment] ?? assert.fail();
  }

  get kept(): string[] {
    return this.files.kept ?? assert.fail();
  }

  get newest(): string[] {
    return this.lines(this.files.segments.length - 1);
  }

  segment(): number {
    return this.pick(this.files.segments.length);
  }

  place(segment: number = this.segment()): Place {
    return { segment, line: this.pick(this.lines(segment).length) };
  }

  /** A place before the last record. */
  inner(): Place {
    for (;;) {
      const place = this.place();
      const { segment, line } = place;
      if (segment < this.files.segments.length - 1 || line < this.newest.length - 1) return place;
    }
  }

  at({ segment, line }: Place): string {
    return this.lines(segment)[line] ?? assert.fail();
  }

  set({ segment, line }: Place, text: string): void {
    this.lines(segment)[line] = text;
  }

  /** A place of a record of this kind. */
  placeOf(kind: string): Place {
    const places = this.files.segments.flatMap((lines, segment) =>
      (lines ?? []).flatMap((text, line) =>
        (JSON.parse(text) as Json)['kind'] === kind ? [{ segment, line }] : [],
      ),
    );
    return places[this.pick(places.length)] ?? assert.fail(`no ${kind}`);
  }

  /** Adds a record at the end, with a right chain. */
  append(body: Json): void {
    const last = JSON.parse(this.newest.at(-1) ?? '') as AuditRecord;
    const { boot, monotonic, wall } = last;
    const envelope = { sequence: last.sequence + 1, prev: last.hash, boot, monotonic, wall };
    this.newest.push(seal(JSON.stringify({ ...envelope, ...body }).slice(0, -1)));
  }

  /** Adds a rotated record that says that rotation has removed all that is not there any more. */
  appendRemoval(tree?: Json): void {
    const first = JSON.parse(this.files.segments.find((lines) => lines?.[0])?.[0] ?? '') as AuditRecord;
    const tally = new Tally();
    let after: Position | undefined;
    for (const text of this.newest) {
      const record = JSON.parse(text) as AuditRecord;
      after ??= { sequence: record.sequence - 1, hash: record.prev };
      tally.add(record);
    }
    const newest = JSON.parse(this.newest.at(-1) ?? '') as AuditRecord;
    const gone = { sequence: first.sequence - 1, hash: first.prev };
    const kept = this.files.kept && {
      records: this.files.kept.length,
      sha256: createHash('sha256').update(textOf(this.files.kept)).digest('hex'),
    };
    this.append({
      kind: 'rotated',
      segment: { after, last: { sequence: newest.sequence, hash: newest.hash }, counts: tally.counts() },
      removed: {
        after: { sequence: 0, hash: '0'.repeat(64) },
        last: gone,
        counts: {},
        ...(kept === undefined ? {} : { kept }),
        ...(tree === undefined ? {} : { tree }),
      },
    });
  }
}

const edits: readonly ((record: Json) => Json)[] = [
  (record) => ({ ...record, wall: '2020-01-01T00:00:00.000Z' }),
  (record) => ({ ...record, boot: 'three' }),
  (record) => ({ ...record, monotonic: 1 }),
  (record) => ({ ...record, added: true }),
  (record) => ({ ...record, prev: 'f'.repeat(64) }),
];

/** Finds: each verification; with a head or a checkpoint alone; none, since nothing is lost. */
type Expected = 'always' | 'anchored' | 'never';
interface Mutation {
  readonly expected: Expected;
  readonly change: (mutant: Mutant) => void;
  /** How often; each is something else. 12 if absent. */
  readonly times?: number;
}

const mutations: Readonly<Record<string, Mutation>> = {
  nothing: { expected: 'never', times: 1, change: () => undefined },
  'further records': {
    expected: 'never',
    times: 1,
    change: (mutant) => mutant.append({ kind: 'heartbeat' }),
  },
  'the begin of a further record': {
    expected: 'never',
    times: 1,
    change: (mutant) => {
      const { sequence, hash } = JSON.parse(mutant.newest.at(-1) ?? '') as AuditRecord;
      mutant.rest = `{"sequence":${sequence + 1},"prev":"${hash}","bo`;
    },
  },
  'two segments in one file, as in a copy': {
    expected: 'never',
    times: 4,
    change: (mutant) => {
      const { segments } = mutant.files;
      const from = mutant.pick(segments.length - 1);
      segments[from + 1] = [...mutant.lines(from), ...mutant.lines(from + 1)];
      segments[from] = undefined;
    },
  },
  'a record is dropped': {
    expected: 'always',
    times: 40,
    change: (mutant) => {
      const { segment, line } = mutant.inner();
      mutant.lines(segment).splice(line, 1);
    },
  },
  'records are dropped': {
    expected: 'always',
    change: (mutant) => {
      const { segment, line } = mutant.inner();
      mutant
        .lines(segment)
        .splice(line, segment === mutant.files.segments.length - 1 ? 1 : 1 + mutant.pick(20));
    },
  },
  'two records are swapped': {
    expected: 'always',
    times: 40,
    change: (mutant) => {
      const [one, other] = [mutant.inner(), mutant.inner()];
      const [text, second] = [mutant.at(one), mutant.at(other)];
      if (text === second) return void mutant.lines(one.segment).splice(one.line, 1);
      mutant.set(one, second);
      mutant.set(other, text);
    },
  },
  'a record is repeated': {
    expected: 'always',
    times: 40,
    change: (mutant) => {
      const [one, other] = [mutant.place(), mutant.place()];
      mutant.lines(other.segment).splice(other.line, 0, mutant.at(one));
    },
  },
  'a record is moved to another segment': {
    expected: 'always',
    times: 30,
    change: (mutant) => {
      const one = mutant.inner();
      const text = mutant.at(one);
      const to =
        (one.segment + 1 + mutant.pick(mutant.files.segments.length - 1)) % mutant.files.segments.length;
      mutant.lines(one.segment).splice(one.line, 1);
      mutant.lines(to).splice(mutant.pick(mutant.lines(to).length), 0, text);
    },
  },
  'the first record of a segment is in the one before': {
    expected: 'always',
    times: 5,
    change: (mutant) => {
      const to = mutant.pick(mutant.files.segments.length - 1);
      mutant.lines(to).push(mutant.lines(to + 1).shift() ?? assert.fail());
    },
  },
  'the last record of a segment is in the next': {
    expected: 'always',
    times: 5,
    change: (mutant) => {
      const from = mutant.pick(mutant.files.segments.length - 1);
      mutant.lines(from + 1).unshift(mutant.lines(from).pop() ?? assert.fail());
    },
  },
  'a byte is changed': {
    expected: 'always',
    times: 40,
    change: (mutant) => {
      const place = mutant.place();
      const bytes = Buffer.from(mutant.at(place), 'latin1');
      const at = mutant.pick(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 + mutant.pick(255));
      mutant.set(place, bytes.toString('latin1'));
    },
  },
  'a byte is put in': {
    expected: 'always',
    times: 30,
    change: (mutant) => {
      const place = mutant.place();
      const text = mutant.at(place);
      const at = mutant.pick(text.length + 1);
      const byte = [' ', '\t', '\r', '\0', '\u00ff', '\n'][mutant.pick(6)] ?? '';
      mutant.set(place, `${text.slice(0, at)}${byte}${text.slice(at)}`);
    },
  },
  'an empty line': {
    expected: 'always',
    times: 6,
    change: (mutant) => {
      const { segment, line } = mutant.place();
      mutant.lines(segment).splice(line, 0, '');
    },
  },
  'a record is edited': {
    expected: 'always',
    times: 30,
    change: (mutant) => {
      const place = mutant.place();
      const text = mutant.at(place);
      const edit = edits[mutant.pick(edits.length)] ?? assert.fail();
      mutant.set(place, JSON.stringify(edit(JSON.parse(text) as Json)));
    },
  },
  'a record is edited and has its hash': {
    expected: 'always',
    times: 30,
    change: (mutant) => {
      const place = mutant.inner();
      mutant.set(place, reseal(mutant.at(place), edits[mutant.pick(edits.length)] ?? assert.fail()));
    },
  },
  'members twice': {
    expected: 'always',
    times: 20,
    change: (mutant) => {
      const place = mutant.inner();
      const text = mutant.at(place);
      const member = ['"kind":"heartbeat"', '"boot":"x"', '"sequence":1', '"hash":"x"'][mutant.pick(4)] ?? '';
      mutant.set(
        place,
        mutant.pick(2) === 0 ? seal(`${openOf(text)},${member}`) : `{${member},${text.slice(1)}`,
      );
    },
  },
  'a record has the hash of its bytes without the zero byte': {
    expected: 'always',
    change: (mutant) => {
      const place = mutant.inner();
      const open = openOf(mutant.at(place));
      mutant.set(place, `${open},"hash":"${createHash('sha256').update(open).digest('hex')}"}`);
    },
  },
  'a record is edited, and the chain is right from it on': {
    expected: 'anchored',
    times: 20,
    change: (mutant) => {
      const { segment, line } = mutant.placeOf(['intent', 'outcome', 'call', 'boot'][mutant.pick(4)] ?? '');
      mutant.set(
        { segment, line },
        reseal(mutant.at({ segment, line }), (record) => ({ ...record, added: 1 })),
      );
      rechain(mutant.files, segment, line);
    },
  },
  'a record is dropped, and the chain is right from there on': {
    expected: 'anchored',
    times: 20,
    change: (mutant) => {
      const { segment, line } = mutant.placeOf(
        ['intent', 'refusal', 'call', 'outcome'][mutant.pick(4)] ?? '',
      );
      mutant.lines(segment).splice(line, 1);
      rechain(mutant.files, segment, line);
    },
  },
  'a record is added, and the chain is right from there on': {
    expected: 'anchored',
    times: 20,
    change: (mutant) => {
      const { segment, line } = mutant.placeOf('intent');
      mutant.lines(segment).splice(line, 0, mutant.at(mutant.placeOf('call')));
      rechain(mutant.files, segment, line);
    },
  },
  'the last record is edited and has its hash': {
    expected: 'anchored',
    times: 4,
    change: (mutant) => {
      const last = mutant.newest.pop() ?? assert.fail();
      mutant.newest.push(reseal(last, (record) => ({ ...record, added: mutant.pick(1_000) })));
    },
  },
  'the end is cut': {
    expected: 'anchored',
    change: (mutant) => void mutant.newest.splice(mutant.pick(mutant.newest.length)),
  },
  'the end is cut, and others are there instead': {
    expected: 'anchored',
    change: (mutant) => {
      const removed = mutant.newest.splice(1 + mutant.pick(mutant.newest.length - 1));
      for (const _ of removed) mutant.append({ kind: 'heartbeat' });
    },
  },
  'the end is cut within a record': {
    expected: 'anchored',
    change: (mutant) => {
      const last = mutant.newest.pop() ?? assert.fail();
      mutant.rest = last.slice(0, mutant.pick(last.length - 1));
    },
  },
  'two segments have the place of the other': {
    expected: 'always',
    change: (mutant) => {
      const { segments } = mutant.files;
      const one = mutant.segment();
      const other = (one + 1 + mutant.pick(segments.length - 1)) % segments.length;
      [segments[one], segments[other]] = [segments[other], segments[one]];
    },
  },
  'a closed segment is missing': {
    expected: 'always',
    times: 6,
    change: (mutant) => {
      mutant.files.segments[mutant.pick(mutant.files.segments.length - 1)] = undefined;
    },
  },
  'a segment is duplicated': {
    expected: 'always',
    change: (mutant) => {
      const { segments } = mutant.files;
      const one = mutant.pick(segments.length - 1);
      const other = (one + 1 + mutant.pick(segments.length - 1)) % segments.length;
      segments[other] = [...mutant.lines(one)];
    },
  },
  'records of one start are in the other': {
    expected: 'always',
    change: (mutant) => {
      const boot = mutant.placeOf('boot');
      const own = mutant.lines(boot.segment).splice(boot.line);
      mutant.lines(mutant.pick(boot.segment)).push(...own);
    },
  },
  'a record calls others removed': {
    expected: 'always',
    times: 15,
    change: (mutant) => {
      const place = mutant.placeOf('rotated');
      const { sequence, prev } = JSON.parse(mutant.at(mutant.inner())) as AuditRecord;
      mutant.set(
        place,
        reseal(mutant.at(place), (record) => ({
          ...record,
          removed: { ...(record['removed'] as Json), last: { sequence: sequence - 1, hash: prev } },
        })),
      );
    },
  },
  'the oldest segments are gone, and a record after the last says that rotation removed them': {
    expected: 'anchored',
    times: 12,
    change: (mutant) => {
      const { segments } = mutant.files;
      const gone = 1 + mutant.pick(segments.length - 1);
      for (let n = 0; n < gone; n += 1) segments[n] = undefined;
      if (gone < segments.length - 1 && mutant.pick(2) === 0) mutant.files.kept = undefined;
      mutant.appendRemoval();
    },
  },
  'all but the last record are gone, and one after it says that rotation removed them': {
    expected: 'anchored',
    times: 2,
    change: (mutant) => {
      mutant.files.segments.fill(undefined, 0, -1);
      mutant.newest.splice(0, mutant.newest.length - 1);
      if (mutant.pick(2) === 0) mutant.files.kept = undefined;
      mutant.appendRemoval();
    },
  },
  'all are gone, and one after them says that rotation removed them': {
    expected: 'anchored',
    times: 1,
    change: (mutant) => {
      mutant.append({ kind: 'heartbeat' });
      mutant.files.segments.fill(undefined, 0, -1);
      mutant.newest.splice(0, mutant.newest.length - 1);
      mutant.files.kept = undefined;
      mutant.appendRemoval();
    },
  },
  'a record after the last names other kept records': {
    expected: 'anchored',
    times: 8,
    change: (mutant) => {
      mutant.kept.splice(mutant.pick(mutant.kept.length), 1);
      mutant.appendRemoval();
    },
  },
  'a kept record is dropped': {
    expected: 'always',
    change: (mutant) => void mutant.kept.splice(mutant.pick(mutant.kept.length), 1),
  },
  'a kept record is edited and has its hash': {
    expected: 'always',
    change: (mutant) => {
      const at = mutant.pick(mutant.kept.length);
      mutant.kept[at] = reseal(mutant.kept[at] ?? '', edits[mutant.pick(edits.length)] ?? assert.fail());
    },
  },
  'a record is among the kept ones as well': {
    expected: 'always',
    change: (mutant) =>
      void mutant.kept.splice(mutant.pick(mutant.kept.length), 0, mutant.at(mutant.place())),
  },
  'the kept records are missing': {
    expected: 'always',
    times: 1,
    change: (mutant) => {
      mutant.files.kept = undefined;
    },
  },
};

/** Small, so that each of some hundred mutants is verified in milliseconds. */
const [records, segmentBytes] = [160, 11_000];

test('each mutant of a log is found: changed, cut, moved, forged, and with a chain of its own', async (t) => {
  const sample = await writeSample(t, records, segmentBytes);
  const { paths } = sample;
  const file = paths.segments.at(-1) ?? assert.fail();
  const written = new Map<string, string | undefined>();
  const write = ({ kept, segments }: Files, rest = ''): void => {
    const texts: (readonly [string, string | undefined])[] = [
      [paths.kept, kept && textOf(kept)],
      ...paths.segments.map((path, n) => [path, segments[n] && textOf(segments[n])] as const),
    ];
    for (const [path, text] of texts) {
      const all = text === undefined || path !== file ? text : text + rest;
      if (written.has(path) && written.get(path) === all) continue;
      written.set(path, all);
      if (all === undefined) rmSync(path, { force: true });
      else writeFileSync(path, all, 'latin1');
    }
  };
  const missed: string[] = [];
  let made = 0;
  for (const [name, { expected, change, times = 12 }] of Object.entries(mutations))
    for (let n = 0; n < times; n += 1) {
      const mutant = new Mutant(sample.files, numbersFrom(n * 7_919 + name.length));
      change(mutant);
      write(mutant.files, mutant.rest);
      assert.ok(existsSync(file));
      made += 1;
      // What is found without an anchor is a problem with one, too.
      const ways = { alone: {}, head: { head: sample.head }, checkpoint: { checkpoint: sample.checkpoint } };
      for (const [how, options] of Object.entries(ways)) {
        const isAnchored = how !== 'alone';
        if (expected !== 'never' && isAnchored !== (expected === 'anchored')) continue;
        const { ok: isSound, problems } = await verify(file, options);
        if (isSound !== (expected === 'never'))
          missed.push(`${name} (${n}), ${how}: ${isSound ? 'not found' : JSON.stringify(problems)}`);
      }
    }
  assert.deepEqual(missed, []);
  assert.ok(made >= 500, `${made} mutants`);
});
