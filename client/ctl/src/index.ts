export { referencePages } from './reference/pages.js';
