export { type LanguageServerOptions, serveLanguage, type SessionEnd } from './serve.js';
