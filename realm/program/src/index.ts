export { parseAgents } from './collect/agents-file.js';
export { program } from './program.js';
export { referencePage } from './reference-page.js';
