// `npm run kata -- [OPTIONS]`: runs Kata's own clients and tests against this agent (dev/kata).
import { runTool } from './run-tool.mjs';

await runTool('dev/kata');
