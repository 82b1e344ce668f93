export {
  type Address,
  addressForms,
  formatAddress,
  parseAddress,
  type RealmAddress,
} from './connection/address.js';
export type { Agent } from './connection/agent.js';
export { attestConnection } from './connection/attest-connection.js';
export { CallError } from './connection/call-error.js';
export { dial, within } from './connection/dial.js';
export { connectRealm } from './connection/realm/connect-realm.js';
export { linesOfBody } from './connection/realm/lines-of-body.js';
export { plainText } from './connection/realm/plain-text.js';
export { askRealm, type RealmRequest } from './connection/realm/realm-request.js';
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
export { readReference, withEvidence } from './input/read-evidence.js';
export { readAt, readInput, readTextInput, readUpTo, unreadable } from './input/read-input.js';
export { reasonOf } from './input/reason-of.js';
export { formatBytes } from './output/bytes.js';
export { cellText } from './output/plain-output.js';
export { print, write } from './output/print.js';
export { type Style, styleFor } from './output/style.js';
export { renderTable } from './output/table.js';
export { trustText } from './output/trust-text.js';
export { wrap } from './output/wrap.js';
export { CommandError } from './command/command-error.js';
export type {
  CommandDefinition,
  CommandGroup,
  Invocation,
  OptionRow,
  Program,
} from './command/definition.js';
export { parseDuration } from './command/duration.js';
export { ExitCode, exitCodes } from './command/exit-code.js';
export type { Io, Output } from './command/io.js';
export { Options } from './command/options.js';
export { helpText } from './program/help-text.js';
export { processIo } from './program/process-io.js';
export { createParser, runProgram } from './program/program.js';
export { explainFailure, renderRefusal } from './program/refusal.js';
export { version } from './program/version.js';
