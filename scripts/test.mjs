// `npm test [FILTER…]`: sets up, then runs every compiled test file, or those whose path contains a filter
// (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'tests/main', 'test');
