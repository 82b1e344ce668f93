// `npm start`: sets up, then runs the demonstration (tools/repository/src/demo).
import { runTool } from './run-tool.mjs';

await runTool('repository', 'demo/main', 'demo');
