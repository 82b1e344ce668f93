import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, ExitCode, reasonOf } from '@kata-agent/cli';
import type { GeneratedDocument } from './generated-document.js';

const indexName = 'index.json';

/** A name of an object in Kubernetes, so that it is the name of a file in this directory and nothing else. */
const objectName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** Kinds of operators' objects are not checked elsewhere. */
const kindName = /^[A-Za-z][A-Za-z0-9]*$/;

interface Written {
  /** Paths of the configurations. */
  readonly files: readonly string[];
  readonly index: object;
  readonly notes: readonly string[];
}

/**
 * Writes the configuration of each workload to `KIND-NAME.toml` of a directory, and their index. Throws a CommandError: two workloads have
 * one name, or an invalid one (1); a file cannot be written (3).
 */
export function writeDocuments(documents: readonly GeneratedDocument[], directory: string): Written {
  const named = documents.map((document) => ({ document, file: fileNameOf(document, documents) }));
  const entries = named.map(({ document, file }) => entryOf(document, file));
  const index = { version: 1, configurations: entries };
  try {
    mkdirSync(directory, { recursive: true });
    for (const { document, file } of named) writeFileSync(join(directory, file), document.text);
    writeFileSync(join(directory, indexName), `${JSON.stringify(index, undefined, 2)}\n`);
    return {
      files: named.map(({ file }) => join(directory, file)),
      index,
      notes: othersIn(directory, new Set(named.map(({ file }) => file))),
    };
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot write to ${directory}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** The namespace is part of the name if two workloads differ in it alone. */
function fileNameOf(document: GeneratedDocument, documents: readonly GeneratedDocument[]): string {
  const workload = workloadOf(document);
  const { kind, name, namespace = 'default', place } = workload;
  const alike = documents
    .map(workloadOf)
    .filter((other) => other !== workload && other.kind === kind && other.name === name);
  if (!kindName.test(kind))
    throw new CommandError(ExitCode.Failed, `${place}: ${JSON.stringify(kind)} is no kind of an object`, {
      help: ['kinds have letters and digits'],
    });
  if (![name, namespace].every((each) => objectName.test(each)))
    throw new CommandError(ExitCode.Failed, `${place}: ${JSON.stringify(name)} is no name of an object`, {
      help: ['names have lower case letters, digits, - and .'],
    });
  const same = alike.find((other) => (other.namespace ?? 'default') === namespace);
  if (same !== undefined)
    throw new CommandError(ExitCode.Failed, `${place} and ${same.place}: two objects ${kind} ${name}`, {
      help: ['pass one of them'],
    });
  return alike.length === 0 ? `${kind}-${name}.toml` : `${kind}-${namespace}-${name}.toml`;
}

function workloadOf({ workloads: [workload] }: GeneratedDocument): GeneratedDocument['workloads'][number] {
  if (workload === undefined) throw new Error('a document has no workload');
  return workload;
}

function entryOf(document: GeneratedDocument, file: string): object {
  const { kind, name, namespace, place } = workloadOf(document);
  const { text, digest, sufficient, plan, unbuilt, notes } = document;
  return {
    file,
    sha256: createHash('sha256').update(text).digest('hex'),
    digest,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    place,
    sufficient,
    endpoints: plan.endpoints.map(({ value }) => value),
    score: plan.score,
    unconstrained: plan.open,
    unbuilt,
    notes,
  };
}

/** A configuration of a workload that is gone would still be used. */
function othersIn(directory: string, written: ReadonlySet<string>): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.toml') && !written.has(name))
    .map(
      (name) =>
        `${join(directory, name)} is not a configuration of these workloads; remove it if it is an earlier one`,
    );
}
