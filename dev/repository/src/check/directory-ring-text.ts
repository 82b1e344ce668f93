import { type ImportGraph, importsWithin, type Ring } from './import-graph.js';

/** Returns the message for directories that import each other: the directories, and the files that make them a ring. */
export function directoryRingText(ring: Ring, graph: ImportGraph): string {
  const lines = importsWithin(ring, graph).flatMap(({ from, to, imports }) => [
    `  ${from} → ${to}: ${imports.length}`,
    ...imports.map(({ file, imported }) => `    ${file} imports ${imported}`),
  ]);
  return [
    `these directories import each other: ${ring.join(', ')}; help: move the file that both need into a directory below them, or declare the type that a function takes beside it`,
    ...lines,
  ].join('\n');
}
