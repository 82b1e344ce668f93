// The report of a run, as a table in Markdown or as JSON.
import { describeProgram, type KataProgram } from './kata-program.js';
import type { Outcome, PartResult } from './part.js';

/** A program and its version; an absent version means that the program is not installed. */
type Versions = Readonly<Record<string, string | undefined>>;

export interface Report {
  readonly date: string;
  readonly versions: Versions;
  /** The programs of Kata. */
  readonly programs: readonly KataProgram[];
  readonly parts: readonly PartResult[];
}

/** Returns the number of tests with an outcome. */
function count({ tests }: PartResult, outcome: Outcome): number {
  return tests.filter((test) => test.outcome === outcome).length;
}

/** Returns the report as Markdown: a table of parts, the tests that did not pass, and the versions. */
export function tableText({ date, versions, programs, parts }: Report): string {
  const rows = [
    ['part', 'result', 'passed', 'failed', 'skipped', 'seconds', 'reason'],
    ...parts.map((part) => [
      part.part,
      part.outcome,
      ...(['passed', 'failed', 'skipped'] as const).map((outcome) => String(count(part, outcome))),
      part.seconds.toFixed(1),
      firstLine(part.reason ?? ''),
    ]),
  ];
  const others = parts.flatMap(({ part, tests }) =>
    tests
      .filter(({ outcome }) => outcome !== 'passed')
      .map(
        ({ name, outcome, reason }) =>
          `- ${part}: ${name}: ${outcome}${reason === undefined ? '' : `: ${reason}`}`,
      ),
  );
  const known = Object.entries(versions).map(([name, version]) => `${name} ${version ?? 'not installed'}`);
  return [
    ...aligned(rows),
    '',
    ...(others.length === 0 ? [] : [...others, '']),
    ...programs.map((program) => `- ${describeProgram(program)}`),
    `${date}: ${known.join(', ')}`,
  ].join('\n');
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)];
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replaceAll('|', '\\|');
}
