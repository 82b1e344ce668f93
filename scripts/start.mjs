// `npm start`: sets up, then runs the demonstration (dev/repository/src/demo).
import { runTool } from './run-tool.mjs';

await runTool('dev/repository', 'demo/main', 'demo');
