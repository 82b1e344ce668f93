export { program } from './program.js';
export { referencePages } from './reference/pages.js';
