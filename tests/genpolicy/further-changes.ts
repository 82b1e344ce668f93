import { clone, isMessage, type Message } from '@bufbuild/protobuf';
import {
  type CopyFileRequest,
  CopyFileRequestSchema,
  type CreateContainerRequest,
  CreateContainerRequestSchema,
} from '@kata-agent/protocol/agent';

/** A change of more than one field. */
export interface FurtherChange {
  readonly field: string;
  readonly kind: 'twice' | 'link' | 'more';
  readonly detail: string;
  /** Why it may be served. */
  readonly reasons: readonly string[];
  readonly request: Message;
}

const linkMode = 0o120777;

/** The targets of links; `below` is a path in a directory that is copied. */
const links: readonly { readonly below: string; readonly target: string }[] = [
  { below: '', target: 'data' },
  { below: '', target: '/etc' },
  { below: '/..data', target: '/etc' },
  { below: '/..data', target: '../../other' },
];

/** Annotations about the host. */
const hostAnnotations = ['io.kubernetes.cri.sandbox-log-directory', 'nerdctl/network-namespace'];

/**
 * Returns what a host could send in place of a call: links in place of files, and a container with annotations about the host. Of the kind
 * `twice`: what it could send after the call, the container again with another id.
 */
export function furtherChanges(request: Message): readonly FurtherChange[] {
  if (isMessage(request, CopyFileRequestSchema)) return linkChanges(request);
  return isMessage(request, CreateContainerRequestSchema)
    ? [secondContainer(request), ...hostAnnotations.map((key) => withAnnotation(request, key))]
    : [];
}

function linkChanges(request: CopyFileRequest): readonly FurtherChange[] {
  return links.map(({ below, target }) => {
    const link = clone(CopyFileRequestSchema, request);
    link.path += below;
    link.fileMode = linkMode;
    link.data = Buffer.from(target);
    return { field: 'file_mode', kind: 'link', detail: `${below} to ${target}`, reasons: [], request: link };
  });
}

function secondContainer(request: CreateContainerRequest): FurtherChange {
  const second = clone(CreateContainerRequestSchema, request);
  replaceText(second, request.containerId, 'f'.repeat(64));
  return { field: 'container_id', kind: 'twice', detail: 'with another id', reasons: [], request: second };
}

function withAnnotation(request: CreateContainerRequest, key: string): FurtherChange {
  const changed = clone(CreateContainerRequestSchema, request);
  if (changed.OCI !== undefined) changed.OCI.Annotations[key] = '/other';
  return {
    field: `OCI.Annotations{${key}}`,
    kind: 'more',
    detail: '/other',
    reasons: ['A path of the host, which no code of the guest reads.'],
    request: changed,
  };
}

/** Replaces a text in all strings below a value. */
function replaceText(value: object, text: string, by: string): void {
  for (const [key, each] of Object.entries(value) as readonly (readonly [string, unknown])[]) {
    if (typeof each === 'string') Object.assign(value, { [key]: each.replaceAll(text, by) });
    else if (typeof each === 'object' && each !== null && !(each instanceof Uint8Array))
      replaceText(each, text, by);
  }
}
