import * as perform from '@kata-agent/guest';
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
    const shown = JSON.stringify(logType.slice(0, 80));
    throw new TtrpcError(Code.InvalidArgument, `log_type ${shown} is not known; there is termination_log`);
  }
  return { data: await perform.terminationMessage(guest, containerId) };
};
