import * as perform from '@kata-agent/guest';
import type { Handler } from './handler.js';

export const readStdout: Handler<'readStdout'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await perform.readStream(
    guest,
    { containerId, execId, stream: 'stdout', length: len },
    context.signal,
  ),
});

export const readStderr: Handler<'readStderr'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await perform.readStream(
    guest,
    { containerId, execId, stream: 'stderr', length: len },
    context.signal,
  ),
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
