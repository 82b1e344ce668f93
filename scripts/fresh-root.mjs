// `npm run fresh-root -- RELEASE…`: runs the tests on a fresh system (tools/repository).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'fresh-root/main');
