// Fails if files import each other in a ring, or directories, imports of types included: none of them can be understood, tested or moved
// without the others.
import { directoryRingText } from './directory-ring-text.js';
import { directoryGraph, importGraph, ringsOf } from './import-graph.js';

const graph = importGraph();
const rings = ringsOf(graph);
for (const ring of rings) console.error(`these files import each other:\n  ${ring.join('\n  ')}`);
const directoryRings = ringsOf(directoryGraph(graph));
for (const ring of directoryRings) console.error(directoryRingText(ring, graph));
process.exit(rings.length + directoryRings.length === 0 ? 0 : 1);
