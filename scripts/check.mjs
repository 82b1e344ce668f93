// `npm run check`: runs the checks that CI runs before any test (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'check/main', 'demo');
