// `npm run bundle [-- OPTIONS]`: bundles the agent and kata-agent-ctl into files that need no node_modules
// (guest-image/bundle).
import { runTool } from './run-tool.mjs';

await runTool('guest-image/bundle');
