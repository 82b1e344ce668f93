// `npm run kata -- --source DIR [OPTIONS]`: runs Kata's own clients and tests against this agent (tools/kata).
import { runTool } from './run-tool.mjs';

await runTool('kata');
