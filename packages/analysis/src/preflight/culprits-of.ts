import { isMessage, type Message } from '@bufbuild/protobuf';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  SignalProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { ExpectedCall } from '../calls/expected-call.js';
import { celLiteral } from '../write/cel-literal.js';
import { type Entry, type FactName, originKey } from '../write/fact-name.js';
import { sourcePlace } from '../write/source-place.js';
import { partsOf } from './request-parts.js';

/** A value of a request that a rule will not have. */
export interface Culprit {
  readonly fact: FactName;
  /** For people: `the variable "LD_PRELOAD"`. */
  readonly text: string;
  /** The field of the pod that it comes from. */
  readonly because: string;
}

/**
 * Finds out what of a request a rule refuses, by asking again: does it pass when a list is empty? then, which single
 * elements does it refuse? What cannot be taken away (a command, a user) is named when the expression speaks of it.
 * Empty: it cannot be told.
 */
export function culpritsOf(
  call: ExpectedCall,
  expression: string,
  passes: (request: Message) => boolean,
): readonly Culprit[] {
  for (const part of partsOf(call.request)) {
    if (!passes(part.keep(new Set()))) continue;
    const found = part.entries.flatMap((value, position) =>
      passes(part.keep(new Set([position])))
        ? []
        : [culprit(call, part.fact, part.word, value, part.details?.[position])],
    );
    if (found.length > 0) return found;
  }
  return singleValues(call.request)
    .filter(({ named }) => named.test(expression))
    .map(({ fact, word, value }) => culprit(call, fact, word, value));
}

interface SingleValue {
  readonly fact: FactName;
  readonly word: string;
  readonly value: Entry;
  /** How an expression speaks of it. */
  readonly named: RegExp;
}

function singleValues(request: Message): readonly SingleValue[] {
  if (isMessage(request, SignalProcessRequestSchema)) {
    return [{ fact: 'signal', word: 'the signal', value: request.signal, named: /\bsignal\b/ }];
  }
  if (isMessage(request, CopyFileRequestSchema)) {
    return [{ fact: 'path', word: 'files below', value: sourcePlace(request.path), named: /\bpath\b/ }];
  }
  const process = isMessage(request, ExecProcessRequestSchema)
    ? request.process
    : isMessage(request, CreateContainerRequestSchema)
      ? request.OCI?.Process
      : undefined;
  if (process === undefined) return [];
  const user = `${process.User?.UID ?? 0}:${process.User?.GID ?? 0}`;
  return [
    { fact: 'command', word: 'the command', value: process.Args, named: /\b(args|Args)\b/ },
    { fact: 'cwd', word: 'the folder', value: process.Cwd, named: /\b(cwd|Cwd)\b/ },
    {
      fact: 'privileges',
      word: 'no_new_privs',
      value: String(process.NoNewPrivileges),
      named: /\bNoNewPrivileges\b/,
    },
    { fact: 'user', word: 'the user', value: user, named: /\b(user|User)\b/ },
    ...rootOf(request),
    {
      fact: 'terminal',
      word: 'a terminal:',
      value: String(process.Terminal),
      named: /\b(terminal|Terminal)\b/,
    },
  ];
}

function rootOf(request: Message): readonly SingleValue[] {
  if (!isMessage(request, CreateContainerRequestSchema)) return [];
  const value = String(request.OCI?.Root?.Readonly ?? false);
  return [{ fact: 'root', word: 'a read-only root:', value, named: /\bReadonly\b/ }];
}

function culprit(
  { origins, because }: ExpectedCall,
  fact: FactName,
  word: string,
  value: Entry,
  detail = '',
): Culprit {
  return {
    fact,
    text: `${word} ${celLiteral(value)}${detail}`,
    because: origins.get(originKey(fact, value)) ?? because,
  };
}
