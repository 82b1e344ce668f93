// `npm run support [-- --at YYYY-MM-DD]`: prints when support of the dependencies ends (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'support/main');
