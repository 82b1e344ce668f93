// `npm test [FILTER…]`: sets up, then runs every compiled test file, or those whose path contains a filter
// (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'tests/main', 'test');
