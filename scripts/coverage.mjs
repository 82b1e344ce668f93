// `npm run coverage [-- PACKAGE…]`: runs unit tests under c8 (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'coverage', 'demo');
