export { type LanguageServerOptions, serveLanguage, type SessionEnd } from './serve.js';
export { completeText, diagnoseText } from './by-offset.js';
