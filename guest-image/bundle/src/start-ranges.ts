import { decode, type SourceMapMappings } from '@jridgewell/sourcemap-codec';

/** A place in a text; both count from 0. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A part of a text: from a place to before another one. */
export interface Range {
  readonly from: Place;
  readonly to: Place;
}

/** What is used of a source map (https://tc39.es/ecma426/). */
export interface SourceMap {
  readonly sources: readonly (string | null)[];
  readonly mappings: string;
}

/**
 * Returns the ranges of a bundled text that come from certain modules, in their order.
 *
 * @param end of the text
 */
export function rangesOf(
  { sources, mappings }: SourceMap,
  end: Place,
  isWanted: (source: string) => boolean,
): readonly Range[] {
  const wanted = sources.map((source) => source !== null && isWanted(source));
  const ranges: Range[] = [];
  let from: Place | undefined;
  for (const { place, source } of segments(decode(mappings))) {
    const isOfWanted = wanted[source] ?? false;
    if (isOfWanted) from ??= place;
    else if (from !== undefined) {
      ranges.push({ from, to: place });
      from = undefined;
    }
  }
  return from === undefined ? ranges : [...ranges, { from, to: end }];
}

function* segments(lines: SourceMapMappings): Iterable<{ readonly place: Place; readonly source: number }> {
  for (const [line, row] of lines.entries())
    for (const [column, source] of row) if (source !== undefined) yield { place: { line, column }, source };
}
