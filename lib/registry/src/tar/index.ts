export { TarError } from './tar-error.js';
export { type TarEntry, TarReader, type TarSink } from './tar-reader.js';
