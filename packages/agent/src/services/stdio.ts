import type { Handler } from './handler.js';

export const readStdout: Handler<'readStdout'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await guest.readStream({ containerId, execId, stream: 'stdout', length: len }, context.signal),
});

export const readStderr: Handler<'readStderr'> = async (
  { guest },
  { containerId, execId, len },
  context,
) => ({
  data: await guest.readStream({ containerId, execId, stream: 'stderr', length: len }, context.signal),
});

export const writeStdin: Handler<'writeStdin'> = async ({ guest }, { containerId, execId, data }) => ({
  len: await guest.writeStdin({ containerId, execId, data }),
});

export const closeStdin: Handler<'closeStdin'> = async ({ guest }, { containerId, execId }) => {
  await guest.closeStdin({ containerId, execId });
  return {};
};

export const ttyWinResize: Handler<'ttyWinResize'> = async (
  { guest },
  { containerId, execId, row, column },
) => {
  await guest.resizeTerminal({ containerId, execId, rows: row, columns: column });
  return {};
};
