import { linkedRecords } from '@kata-agent/audit';
import { Management } from '@kata-agent/protocol/management';
import { type CommandDefinition, withAgent } from '@kata-agent/cli';
import { firstSequence } from './first-sequence.js';
import { filterOptions, printRecords } from './print-records.js';

export const auditWatch: CommandDefinition = {
  path: 'audit watch',
  summary: 'print the audit records of a running agent as they are written',
  details: [
    'Calls Management.WatchAudit, on a listener whose management names it, until interrupted or until the agent ends. Checks that each record follows the one before, as audit verify does; problems are reported on standard error, and the exit code is then 4. With --format json, prints the records as written: a file of them can be verified later.',
    'An agent closes the connection of a watcher that stops reading. To resume, pass the sequence number after the last record as --from. Records from there on that rotation has removed are reported as missing.',
  ],
  options: [
    {
      flags: '--from <sequence>',
      description: 'begin with this record: 1 is the first of the log (default: records written from now on)',
    },
    ...filterOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl audit watch -a unix:///run/agent.sock --denied',
      description: 'Prints denied calls as they happen.',
    },
    {
      line: 'kata-agent-ctl audit watch -a unix:///run/agent.sock --from 1 --format json > audit.log',
      description: 'Copies the log out of the guest.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const { io } = invocation;
    const from = firstSequence(invocation.options);
    const over = new AbortController();
    const stop = (): void => over.abort();
    io.signals.on('SIGINT', stop);
    try {
      return await withAgent(invocation, async (agent) => {
        const replies = agent.stream(
          Management.method.watchAudit,
          from === undefined ? {} : { from: BigInt(from) },
          over,
        );
        const lines = (async function* () {
          for await (const { records } of replies) yield records;
        })();
        return await printRecords(invocation, linkedRecords(lines, from), help);
      });
    } finally {
      io.signals.off('SIGINT', stop);
    }
  },
};

const help = 'compare with another copy of the log: the agent or a relay changed or withheld records';
