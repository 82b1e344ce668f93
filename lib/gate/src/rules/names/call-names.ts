import type { DescMessage } from '@bufbuild/protobuf';
import { type MethodName, methodNames } from '@kata-agent/catalogue';
import { AgentService } from '@kata-agent/protocol/agent';
import { claimedName } from '../../facts/claims.js';
import type { RuleContainer, RuleImage, RuleMember, RulePeer } from '../../rule-context.js';
import { type FieldValues, RuleError } from '../language/compiled.js';
import { int, listOf, mapOf, type RecordField, string, type Type } from '../language/type.js';
import { imageLayers, layerValues, requestedImage, verifiedLayers } from './image-names.js';
import type { RuleName } from './rule-name.js';

const inputs: ReadonlyMap<string, DescMessage> = new Map(
  AgentService.methods.map(({ name, input }) => [name, input]),
);

function record(name: string, fields: Readonly<Record<string, RecordField>>): Type {
  return { kind: 'record', name, fields: new Map(Object.entries(fields)) };
}

const naming = methodNames.filter((method) =>
  requestDescriptor(method).fields.some(({ name }) => name === 'container_id'),
);

const states: readonly RuleContainer['state'][] = ['none', 'created', 'running', 'paused', 'stopped'];
const peerKinds: readonly RulePeer['kind'][] = ['unix', 'vsock', 'tls'];

const claimed = record('claimed', {
  image: { type: string, doc: 'The image, from the annotation of the container runtime; empty without one.' },
  name: {
    type: string,
    doc: 'The name in its pod, from the annotation of the container runtime; empty for the pause container.',
  },
  annotations: { type: mapOf(string, string), doc: 'Annotations of the container.' },
});

const container = record('container', {
  id: { type: string, doc: 'As the host named it.' },
  state: {
    type: { kind: 'string', among: states },
    ofGuest: naming,
    doc: 'none: no such container (yet); created, running, paused or stopped.',
  },
  claimed: {
    type: claimed,
    // Those of a container that is to be created are in the request.
    ofGuest: naming.filter((method) => method !== 'CreateContainer'),
    doc: 'Claims of the host, which are not verified (S27).',
  },
});

const memberStates: readonly RuleMember['state'][] = ['created', 'running', 'paused', 'stopped', 'removed'];

const member = record('member', {
  name: { type: string, doc: 'Its name in the pod, as the host claims it; empty for the pause container.' },
  state: {
    type: { kind: 'string', among: memberStates },
    doc: 'created, running, paused, stopped or removed.',
  },
  exit_code: {
    type: int,
    optional: true,
    doc: 'Of its first process, once that has ended; absent if a call has signalled it before.',
  },
});

const sandbox = record('sandbox', {
  id: { type: string, doc: 'Empty before CreateSandbox.' },
  containers: { type: listOf(string), doc: 'The ids of the existing containers.' },
  members: {
    type: listOf(member),
    doc:
      'The existing and removed containers: of the removed ones with the same name, the last one and the last that exited with 0. ' +
      'At most 256 removed ones are listed.',
  },
  sources: {
    type: mapOf(string, listOf(string)),
    doc:
      "By the source of a mount in Kata's directory, the mounts that members have of it, as `CONTAINER=MOUNT POINT` with the container's name in its pod. " +
      'Removed members are listed only for storages that the pod keeps. The copy of a watched volume is also listed under the path of the original.',
  },
});

const peerType = record('peer', {
  kind: { type: { kind: 'string', among: peerKinds }, doc: 'unix, vsock or tls.' },
  cid: { type: int, optional: true, doc: 'On vsock: 2 is the host.' },
  uid: { type: int, optional: true, doc: 'On a unix socket.' },
  subject: { type: string, optional: true, doc: "On TLS: of the client's certificate." },
  sans: {
    type: listOf(string),
    optional: true,
    doc: "On TLS: the other names in the client's certificate, as in peers: `uri:spiffe://example/ops/alice`.",
  },
  fingerprint: {
    type: string,
    optional: true,
    doc: "On TLS: `sha256:` and the SHA-256 of the client's certificate, in hex.",
  },
  claimed_operator: {
    type: string,
    optional: true,
    doc: 'At `https://` with `relay = "trusted"`: the operator for whom the server makes the call, as it says. Nothing verifies it.',
  },
});

const roots: readonly RuleImage['from'][] = ['host', 'pause_bundle', 'pulled', 'verified_layers'];

const imageConfig = record('image.config', {
  entrypoint: { type: listOf(string), doc: 'Empty if the image has none, like each of these.' },
  cmd: { type: listOf(string), doc: 'The arguments of the entrypoint, or the command without one.' },
  env: { type: listOf(string), doc: '`NAME=VALUE`.' },
  user: { type: string, doc: 'As in the image: a name or a number, with or without a group.' },
  working_dir: { type: string, doc: 'The working directory.' },
  volumes: { type: listOf(string), doc: 'Paths that the image declares as volumes.' },
  stop_signal: { type: string, doc: 'The name or number of a signal.' },
});

const image = record('image', {
  from: {
    type: { kind: 'string', among: roots },
    doc: 'host: the root comes from the host, and has no other field. pause_bundle: from the guest image. pulled: the guest pulled it. verified_layers: disks of the host under dm-verity.',
  },
  reference: { type: string, optional: true, doc: 'If it was pulled: the name, as in the request.' },
  digest: {
    type: string,
    optional: true,
    doc: 'If the built-in puller pulled it: the digest of what the reference names, an index or a manifest.',
  },
  manifest_digest: {
    type: string,
    optional: true,
    doc: 'If it was pulled, and the puller says so: the digest of the manifest of this platform.',
  },
  config: {
    type: imageConfig,
    optional: true,
    doc: 'If the built-in puller pulled it: what the image declares of its process.',
  },
  layers: imageLayers,
});

/** Names for properties of the call, for all methods or those that name a container. */
export const callNames: readonly RuleName[] = [
  {
    name: 'request',
    methods: methodNames,
    doc: "The request's message, with the names of the .proto file. Absent fields read as empty, 0 or false.",
    example: 'has(request.container_id) ? request.container_id != "" : true',
    typeFor: (method) => ({ kind: 'message', message: requestDescriptor(method) }),
    read: (request) => request,
  },
  {
    name: 'container',
    methods: naming,
    doc: 'The container that the call names. For CreateContainer it is the new one, in the state none.',
    example: 'container.state != "paused"',
    typeFor: () => container,
    read(_, context) {
      if (context.container === undefined) throw new RuleError('the call names no container');
      return containerValue(context.container);
    },
  },
  {
    name: 'image',
    methods: ['CreateContainer'],
    ofGuest: ['CreateContainer'],
    doc: 'The image that the guest pulled for the container. If the request asks for a pull, rules with this name are evaluated after it, before anything of the image is used; a denial removes what was pulled. Rules that are only recorded are then not evaluated.',
    example: 'has(image.digest) ? image.digest == "sha256:…" : image.from == "pause_bundle"',
    typeFor: () => image,
    read: (request, context) => imageValue(context.image ?? requestedImage(request, context)),
  },
  verifiedLayers,
  {
    name: 'sandbox',
    methods: methodNames,
    ofGuest: methodNames,
    doc: 'The pod.',
    example: 'sandbox.containers.size() < 10',
    typeFor: () => sandbox,
    read: (_, { sandbox: { id, containers, members = [] } }) => ({
      id,
      containers,
      members: members.map(memberValue),
      sources: sourcesOf(members),
    }),
  },
  {
    name: 'listener',
    methods: methodNames,
    doc: 'The name of the listener that the call came through.',
    example: 'listener == "host"',
    typeFor: () => string,
    read: (_, context) => context.listener,
  },
  {
    name: 'peer',
    methods: methodNames,
    doc: 'The other end of the connection. Reading a property that its kind does not have is an error; test with has().',
    example: 'has(peer.cid) && peer.cid == 2',
    typeFor: () => peerType,
    read: (_, context) => peerValue(context.peer),
  },
];

function containerValue({ id, state, claimed: { image, annotations } }: RuleContainer): FieldValues {
  const name = claimedName(annotations);
  return { id, state, claimed: { image, name, annotations: new Map(Object.entries(annotations)) } };
}

function imageValue({ from, reference, digest, manifestDigest, config, layers }: RuleImage): FieldValues {
  return {
    from,
    reference,
    digest,
    manifest_digest: manifestDigest,
    layers: layers === undefined ? undefined : layerValues(layers),
    config:
      config === undefined
        ? undefined
        : {
            entrypoint: config.entrypoint,
            cmd: config.cmd,
            env: config.env,
            user: config.user,
            working_dir: config.workingDir,
            volumes: config.volumes,
            stop_signal: config.stopSignal,
          },
  };
}

function memberValue({ name, state, exitCode }: RuleMember): FieldValues {
  return { name, state, exit_code: exitCode === undefined ? undefined : BigInt(exitCode) };
}

/** Returns the mounts of all members by their source. The guest copies `X` to `watchable/X`: both are its sources. */
function sourcesOf(members: readonly RuleMember[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name, mounts = [] } of members) {
    for (const { destination, source } of mounts) {
      for (const path of new Set([source, source.replace('/watchable/', '/')])) {
        const known = found.get(path) ?? [];
        found.set(path, known);
        known.push(`${name}=${destination}`);
      }
    }
  }
  return found;
}

function peerValue(peer: RulePeer): FieldValues {
  const { kind, cid, uid, subject, sans, fingerprint, claimedOperator } = peer;
  return {
    kind,
    cid: cid === undefined ? undefined : BigInt(cid),
    uid: uid === undefined ? undefined : BigInt(uid),
    subject,
    sans,
    fingerprint,
    claimed_operator: claimedOperator,
  };
}

/** Returns the descriptor of a method's request message. */
export function requestDescriptor(method: MethodName): DescMessage {
  const input = inputs.get(method);
  if (input === undefined) throw new TypeError(`the service declares no ${method}`);
  return input;
}
