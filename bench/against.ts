import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { tracked } from './children.js';
import { root } from './go-programs.js';
import { median } from './median.js';
import { renderTable } from './render.js';
import { spreadOf } from './row.js';

/** A figure of one run, by the names of its part and row. */
export interface Figure {
  readonly part: string;
  readonly what: string;
  readonly unit: string;
  readonly value: number;
}

/** A row of both states: the medians of their runs, and how far the runs of this checkout differ. */
export interface Comparison {
  readonly part: string;
  readonly what: string;
  readonly unit: string;
  readonly ours: number;
  /** Undefined: the commit has no such row. */
  readonly theirs: number | undefined;
  /** The largest figure of this checkout less the smallest, as a share of their median: a difference below it says nothing. */
  readonly spread: number;
}

/** What one run of the benchmark needs. */
export interface AgainstOptions {
  /** As `commitOf` returns it. */
  readonly commit: string;
  readonly parts: readonly string[];
  readonly quick: boolean;
  /** Debian packages that are missing, as `--missing`. */
  readonly missing: string;
  /** Told about each step. */
  readonly progress: (step: string) => void;
}

/** Returns the hash of a commit. Throws for a name that is not one of a commit. */
export function commitOf(ref: string): string {
  const words = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`];
  const { status, stdout } = spawnSync('git', words, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`--against ${ref}: this repository has no such commit`);
  return stdout.trim();
}

/**
 * Measures this checkout, a commit, and this checkout again, in three rounds (one with `quick`). The commit is checked out and compiled
 * below build/, with its own packages and its own benchmark, and is removed at the end.
 */
export async function measureAgainst(options: AgainstOptions): Promise<readonly Comparison[]> {
  const { commit, parts, quick, progress } = options;
  const other = join(root, 'build', `against-${commit.slice(0, 12)}`);
  const remove = (): void => {
    rmSync(other, { recursive: true, force: true });
    spawnSync('git', ['worktree', 'prune'], { cwd: root });
  };
  process.once('exit', remove);
  try {
    progress(`checking out and compiling ${commit.slice(0, 12)}`);
    remove();
    await run('git', ['worktree', 'add', '--quiet', '--detach', other, commit], root);
    await run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], other);
    await run('npx', ['tsc', '-b'], other);
    const ours: Figure[][] = [];
    const theirs: Figure[][] = [];
    const rounds = quick ? 1 : 3;
    for (const part of parts)
      for (let round = 1; round <= rounds; round += 1) {
        progress(`${part}, round ${round} of ${rounds}`);
        ours.push(await figures(root, part, options));
        theirs.push(await figures(other, part, options));
        ours.push(await figures(root, part, options));
      }
    return compared(ours.flat(), theirs.flat());
  } finally {
    process.off('exit', remove);
    remove();
  }
}

/** Combines what all runs measured. Rows that only the commit has are left out. */
export function compared(ours: readonly Figure[], theirs: readonly Figure[]): readonly Comparison[] {
  const key = ({ part, what }: Figure): string => `${part}\0${what}`;
  const own = grouped(ours, key);
  const others = grouped(theirs, key);
  return [...own].flatMap(([name, found]) => {
    const [first] = found;
    if (first === undefined) return [];
    const values = found.map(({ value }) => value);
    const other = others.get(name)?.map(({ value }) => value);
    const middle = median(values);
    const { min, max } = spreadOf(values);
    return [
      {
        part: first.part,
        what: first.what,
        unit: first.unit,
        ours: middle,
        theirs: other === undefined ? undefined : median(other),
        spread: (max - min) / middle,
      },
    ];
  });
}

/** Node.js 20 has no Map.groupBy. */
function grouped(
  figures: readonly Figure[],
  key: (figure: Figure) => string,
): ReadonlyMap<string, readonly Figure[]> {
  const groups = new Map<string, Figure[]>();
  for (const figure of figures) {
    const group = groups.get(key(figure));
    if (group === undefined) groups.set(key(figure), [figure]);
    else group.push(figure);
  }
  return groups;
}

/** Renders comparisons for people. */
export function renderComparisons(ref: string, rows: readonly Comparison[]): string {
  const cells = rows.map(({ part, what, unit, ours, theirs, spread }) => [
    `${part}: ${what}`,
    ours.toPrecision(3),
    theirs === undefined ? 'has none' : theirs.toPrecision(3),
    unit,
    theirs === undefined ? '' : `${(ours / theirs).toFixed(2)}×`,
    `${Math.round(spread * 100)} %`,
  ]);
  return renderTable([['', 'ours', ref, 'unit', 'ratio', 'spread'], ...cells]);
}

async function figures(
  checkout: string,
  part: string,
  { quick, missing }: AgainstOptions,
): Promise<Figure[]> {
  const words = ['--only', part, '--format', 'json', ...(quick ? ['--quick'] : [])];
  const program = join(checkout, 'bench', 'dist', 'main.js');
  const child = tracked(
    spawn(process.execPath, [program, ...words, '--missing', missing], {
      cwd: checkout,
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more;
  });
  await once(child, 'close');
  // A part that the commit does not have prints nothing, and one that failed says so on stderr too.
  const elements = text === '' ? [] : (JSON.parse(text) as readonly (Partial<Figure> & { ours?: number })[]);
  return elements.flatMap(({ what, unit, ours }) =>
    what === undefined || unit === undefined || ours === undefined ? [] : [{ part, what, unit, value: ours }],
  );
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = tracked(spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] }));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} in ${cwd} ended with ${String(code)}`);
}
