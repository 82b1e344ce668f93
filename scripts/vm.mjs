// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest (tools/vm).
import { runTool } from './run-tool.mjs';

await runTool('vm');
