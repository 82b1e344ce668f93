// `npm run support [-- --at YYYY-MM-DD]`: prints when support of the dependencies ends (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'support/main');
