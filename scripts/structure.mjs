// `npm run structure`: counts packages, directories and files (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'structure/main');
