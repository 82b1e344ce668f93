import * as perform from '@kata-agent/guest';
import { quotedName } from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { ociProcess } from '../wire/oci-spec.js';
import type { Handler } from './handler.js';
import { withStdio } from './stdio-ports.js';

export const execProcess: Handler<'execProcess'> = async (services, request, { connection }) => {
  const { containerId, execId, process } = request;
  if (process === undefined) {
    throw new TtrpcError(
      Code.InvalidArgument,
      `exec ${quotedName(execId)} in container ${quotedName(containerId)}: the request has no process`,
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
  status: await perform.waitProcess(guest, { containerId, execId }, context),
});

export const readStdout: Handler<'readStdout'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await perform.readStream(guest, { containerId, execId, stream: 'stdout', length: len }, context),
});

export const readStderr: Handler<'readStderr'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await perform.readStream(guest, { containerId, execId, stream: 'stderr', length: len }, context),
});

export const writeStdin: Handler<'writeStdin'> = async ({ guest }, { containerId, execId, data }) => ({
  len: await perform.writeStdin(guest, { containerId, execId, data }),
});

export const closeStdin: Handler<'closeStdin'> = async ({ guest }, { containerId, execId }) => {
  await perform.closeStdin(guest, { containerId, execId });
  return {};
};

export const ttyWinResize: Handler<'ttyWinResize'> = async (
  { guest },
  { containerId, execId, row, column },
) => {
  await perform.resizeTerminal(guest, { containerId, execId, rows: row, columns: column });
  return {};
};
