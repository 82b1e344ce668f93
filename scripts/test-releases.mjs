// `node scripts/test-releases.mjs RELEASE… [-- FILTER…]`: runs the tests with other releases of Node.js
// (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'tests/releases');
