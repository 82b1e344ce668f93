import * as perform from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';
import { ociProcess } from './oci-spec.js';
import { shortId } from './short-id.js';
import { withStdio } from './stdio-ports.js';

export const execProcess: Handler<'execProcess'> = async (services, request, { connection }) => {
  const { containerId, execId, process } = request;
  if (process === undefined) {
    throw new TtrpcError(
      Code.InvalidArgument,
      `exec ${shortId(execId)} in container ${shortId(containerId)}: the request has no process`,
    );
  }
  await withStdio(services, connection.listener, request, (stdio) =>
    perform.execProcess(services.guest, { containerId, execId, process: ociProcess(process), stdio }),
  );
  return {};
};

export const signalProcess: Handler<'signalProcess'> = async ({ guest }, { containerId, execId, signal }) => {
  await perform.signalProcess(guest, { containerId, execId, signal });
  return {};
};

export const waitProcess: Handler<'waitProcess'> = async ({ guest }, { containerId, execId }, context) => ({
  status: await perform.waitProcess(guest, { containerId, execId }, context.signal),
});
