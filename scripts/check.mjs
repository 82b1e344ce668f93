// `npm run check`: runs the checks that CI runs before any test (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'check/main', 'demo');
