import { clone, type DescMethod, type Message } from '@bufbuild/protobuf';
import { ForwardedSandbox, type FormContext, NotAlike, readRequest } from '@kata-agent/agent/requests';
import { type MethodName, sharedDirectory } from '@kata-agent/catalogue';
import { noAccess } from '@kata-agent/gate';
import {
  CreateContainerRequestSchema,
  AgentService,
  type CreateContainerRequest,
} from '@kata-agent/protocol/agent';
import { requestSchema } from '@kata-agent/analysis';
import type { ExpectedCall, RuntimeSetup } from '@kata-agent/workloads';

/** Methods whose expected requests are placeholders without fields: the model knows nothing of the network of a pod. */
export const placeholders: ReadonlySet<MethodName> = new Set([
  'UpdateInterface',
  'UpdateRoutes',
  'AddARPNeighbors',
]);

/** Returns what forward mode reads a pod's requests with. A host that shares files is trusted by name. */
export function formContext(
  { guest, snapshotter }: RuntimeSetup,
  privileged: 'refuse' | 'allow' = 'refuse',
): FormContext {
  const trusts = guest === 'shared-fs' || (snapshotter !== undefined && guest !== 'confidential');
  return {
    sandbox: new ForwardedSandbox(),
    access: { ...noAccess, guestPaths: trusts ? [`rw:${sharedDirectory}`] : [] },
    isRefusing: privileged === 'refuse',
    nodes: { numberOf: () => undefined, nameOf: () => undefined },
  };
}

/** Returns a request of the model with what the model leaves to the runtime: the address of a disk. */
export function completed({ method, request }: ExpectedCall): Message {
  const copy = clone(requestSchema(method), request);
  if (method !== 'CreateContainer') return copy;
  const create = copy as CreateContainerRequest;
  create.devices.forEach((device, index) => {
    if (device.id === '') device.id = `00/${(16 + index).toString(16)}`;
  });
  return clone(CreateContainerRequestSchema, create);
}

/** Returns why a request would not be forwarded; undefined: it would. */
export function tryForward(method: MethodName, request: Message, context: FormContext): string | undefined {
  return refusalOf(() => readRequest(methodOf(method), request, context));
}

/** The same, and the request is part of the sandbox then. */
export function forwardRefusal(
  method: MethodName,
  request: Message,
  context: FormContext,
): string | undefined {
  return refusalOf(() => {
    const { claims } = readRequest(methodOf(method), request, context);
    context.sandbox.add(claims);
    const id = 'containerId' in request ? String(request.containerId) : '';
    if (method === 'CreateSandbox') context.sandbox.sandboxCreated();
    if (method === 'RemoveContainer') context.sandbox.containerRemoved(id);
    // The model has no WaitProcess for each of a container's commands.
    if (method === 'ExecProcess' && 'execId' in request)
      context.sandbox.execEnded(id, String(request.execId));
  });
}

function refusalOf(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof NotAlike) return error.message;
    throw error;
  }
}

function methodOf(method: MethodName): DescMethod {
  const descriptor = AgentService.methods.find(({ name }) => name === method);
  if (descriptor === undefined) throw new TypeError(method);
  return descriptor;
}
