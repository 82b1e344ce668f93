export {
  type Address,
  addressForms,
  formatAddress,
  parseAddress,
  type RealmAddress,
} from './connection/address.js';
export type { Agent } from './connection/agent.js';
export { attestConnection } from './connection/agent.js';
export { CallError } from './connection/agent.js';
export { dial, within } from './connection/dial.js';
export { connectRealm } from './connection/connect-realm.js';
export { linesOfBody } from './connection/realm-request.js';
export { plainText } from './connection/realm-request.js';
export { askRealm, type RealmRequest } from './connection/realm-request.js';
export { realmItself, tlsCredentials } from './connection/tls-credentials.js';
export { addressesOf, addressOf, timeoutOf, withAgent, withConnection } from './connection/with-agent.js';
export {
  keyOptions,
  parsed,
  readCheckpoint,
  trustedKeys,
  witnessKeys,
  witnessOption,
} from './input/checkpoint-options.js';
export { readReference, withEvidence } from './input/read-input.js';
export { isDirectory, readAt, readInput, readTextInput, readUpTo, unreadable } from './input/read-input.js';
export { reasonOf } from './input/read-input.js';
export { formatBytes } from './output/text.js';
export { cellText } from './output/plain-output.js';
export { writeOutputFile } from './output/output-file.js';
export { foldedWithin } from './output/fit.js';
export { print, printReport, write } from './output/print.js';
export { type Style, styleFor } from './output/text.js';
export { renderTable } from './output/text.js';
export { trustText } from './output/text.js';
export { wrap } from './output/text.js';
export { CommandError } from './command/command-error.js';
export type {
  CommandDefinition,
  CommandGroup,
  Invocation,
  OptionRow,
  Program,
} from './command/definition.js';
export { parseDuration } from './command/options.js';
export { ExitCode, exitCodes } from './command/command-error.js';
export type { Io, Output } from './command/io.js';
export { Options } from './command/options.js';
export { helpText } from './program/program.js';
export { processIo } from './command/io.js';
export { createParser, runProgram } from './program/program.js';
export { explainFailure, renderRefusal } from './program/refusal.js';
export { version } from './program/version.js';
