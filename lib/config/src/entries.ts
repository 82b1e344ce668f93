/** The parts of the parser, exported for other files in the form of documents: the authorization file of a realm. */
export { decodeDocument } from './document/decode-document.js';
export { type EntryKey, type EntryKeyRow, entryTables, readEntry, readNamed } from './document/entry-key.js';
export { expandList } from './document/api-document.js';
export { quote } from './diagnostics/display-text.js';
export { Report } from './diagnostics/report.js';
export { unknown } from './settings/read-section.js';
export { boolean } from './value-types/scalars.js';
export { certificatePeers } from './value-types/peers.js';
export { integer } from './value-types/scalars.js';
export { listOfTexts } from './value-types/collections.js';
export { entryName } from './value-types/text.js';
export { pins } from './value-types/peers.js';
export { release } from './value-types/text.js';
export { size } from './value-types/quantities.js';
export { endpointList, words } from './value-types/text.js';
export { verbList } from './value-types/peers.js';
export { expected, read, type Reading, type ValueType } from './value-types/value-type.js';
