import * as perform from '@kata-agent/guest';
import { quotedWord } from '@kata-agent/guest';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import type { Handler } from './handler.js';

export const getMetrics: Handler<'getMetrics'> = async ({ guest }) => ({
  metrics: await perform.getMetrics(guest),
});

export const getDiagnosticData: Handler<'getDiagnosticData'> = async (
  { guest },
  { logType, containerId },
) => {
  if (logType !== 'termination_log') {
    const shown = quotedWord(logType);
    throw new TtrpcError(Code.InvalidArgument, `unknown log_type ${shown}; the only one is termination_log`);
  }
  return { data: await perform.terminationMessage(guest, containerId) };
};
