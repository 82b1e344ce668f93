import { type ImportGraph, importsWithin, type Ring } from './import-graph.js';

/** Returns the message for folders that import each other: the folders, and the files that make them a ring. */
export function folderRingText(ring: Ring, graph: ImportGraph): string {
  const lines = importsWithin(ring, graph).flatMap(({ from, to, imports }) => [
    `  ${from} → ${to}: ${imports.length}`,
    ...imports.map(({ file, imported }) => `    ${file} imports ${imported}`),
  ]);
  return [
    `these folders import each other: ${ring.join(', ')}; help: move the file that both need into a folder below them, or declare the type that a function takes beside it`,
    ...lines,
  ].join('\n');
}
