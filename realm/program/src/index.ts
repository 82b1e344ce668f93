export { parseAgents } from './collected-agents.js';
export { program, referencePage } from './program.js';
