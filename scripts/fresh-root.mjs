// `npm run fresh-root -- RELEASE…`: runs the tests on a fresh system (dev/repository).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'fresh-root/main');
