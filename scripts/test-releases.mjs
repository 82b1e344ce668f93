// `node scripts/test-releases.mjs RELEASE… [-- FILTER…]`: runs the tests with other releases of Node.js
// (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'tests/releases');
