import { clone } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { fieldMutations, type Mutation } from '../mutation/field-mutations.js';
import { textHash } from '../mutation/text-hash.js';

/** A request that differs from that of a pod in one fact. */
export interface ChangedContainer {
  readonly mutation: Mutation;
  readonly request: CreateContainerRequest;
}

/**
 * Of facts with the same rule in all documents, one in so many is changed: values that are only added, the engine's lists and mounts, and
 * facts of the pause container.
 */
const sharedInOneOf = 8;

const engineLists = /^OCI\.(Linux\.(MaskedPaths|ReadonlyPaths|Namespaces)|Process\.Capabilities\.)/;

/**
 * Returns a request with one change of each fact: a field, an element of a list, a field of an element. Which of the possible changes that
 * is follows from `seed`, so that the requests of many pods have all of them.
 */
export function* changedContainers(
  request: CreateContainerRequest,
  { seed, isPause }: { readonly seed: string; readonly isPause: boolean },
): Generator<ChangedContainer> {
  const facts = new Map<string, Mutation[]>();
  for (const mutation of fieldMutations(CreateContainerRequestSchema, request)) {
    const fact = factOf(mutation);
    const others = facts.get(fact);
    if (others === undefined) facts.set(fact, [mutation]);
    else others.push(mutation);
  }
  // Volumes are bind mounts.
  const engineMounts = (request.OCI?.Mounts ?? []).flatMap(({ type, destination }) =>
    type === 'bind' ? [] : [destination],
  );
  const isOfEngine = (fact: string): boolean =>
    engineLists.test(fact) ||
    (fact.startsWith('OCI.Mounts') &&
      engineMounts.some((path) => fact.endsWith(` ${path}`) || fact.includes(` ${path}: `)));
  for (const [fact, mutations] of facts) {
    const hash = textHash(`${seed} ${fact}`);
    const isAdded = mutations.every(({ kind }) => kind === 'added' || kind === 'more');
    if ((isAdded || isPause || isOfEngine(fact)) && hash % sharedInOneOf !== 0) continue;
    const mutation = mutations[Math.trunc(hash / sharedInOneOf) % mutations.length];
    if (mutation === undefined) continue;
    const changed = clone(CreateContainerRequestSchema, request);
    mutation.apply(changed);
    yield { mutation, request: changed };
  }
}

/** Returns the name of what is changed: changes of one element of a list, and its removal, have the same. */
function factOf({ field, detail }: Mutation): string {
  if (field.endsWith('[]')) return `${field.slice(0, -2)} ${detail.replace(/ to [^]*$/, '')}`;
  const element = /^(?<inside>.*: |)(?:without|twice) (?<name>[^]*)$/.exec(detail)?.groups;
  if (element !== undefined) return `${field} ${element['inside']}${element['name']}`;
  return field.includes('[].') ? `${field} ${detail.replace(/: [^]*$/, '')}` : field;
}
