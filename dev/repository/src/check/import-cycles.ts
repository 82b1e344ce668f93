// Fails if files import each other in a ring, or folders, imports of types included: none of them can be understood, tested or moved
// without the others.
import { folderRingText } from './folder-ring-text.js';
import { folderGraph, importGraph, ringsOf } from './import-graph.js';

const graph = importGraph();
const rings = ringsOf(graph);
for (const ring of rings) console.error(`these files import each other:\n  ${ring.join('\n  ')}`);
const folderRings = ringsOf(folderGraph(graph));
for (const ring of folderRings) console.error(folderRingText(ring, graph));
process.exit(rings.length + folderRings.length === 0 ? 0 : 1);
