import type { ExpectedCall } from '@kata-agent/workloads';
import { isMessage } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
} from '@kata-agent/protocol/agent';
import type { Process } from '@kata-agent/protocol/oci';

export function asCreate({ request }: ExpectedCall): CreateContainerRequest | undefined {
  return isMessage(request, CreateContainerRequestSchema) ? request : undefined;
}

/** Returns the first process of a container, or that of an exec. */
export function asProcess({ request }: ExpectedCall): Process | undefined {
  if (isMessage(request, ExecProcessRequestSchema)) return request.process;
  return isMessage(request, CreateContainerRequestSchema) ? request.OCI?.Process : undefined;
}
