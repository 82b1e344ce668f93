// Fails if files import each other in a ring, imports of types included: none of them can be understood, tested or moved
// without the others.
import { importGraph, ringsOf } from './import-graph.js';

const rings = ringsOf(importGraph());
for (const ring of rings) console.error(`these files import each other:\n  ${ring.join('\n  ')}`);
process.exit(rings.length === 0 ? 0 : 1);
