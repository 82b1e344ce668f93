// `npm run vm [-- OPTIONS] [COMMAND…]`: boots a guest (dev/vm).
import { runTool } from './run-tool.mjs';

await runTool('dev/vm');
