// `npm run coverage [-- PACKAGE…]`: runs unit tests under c8 (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'coverage', 'demo');
