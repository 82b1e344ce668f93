import { linkedRecords, type Read } from '@kata-agent/audit';
import { type CommandDefinition, CommandError, ExitCode, linesOfBody } from '@kata-agent/cli';
import { filterOptions, firstSequence, printRecords } from '../audit/records.js';
import { guestPath, realmAddressOf, requestRealm } from './with-realm.js';

export const realmAudit: CommandDefinition = {
  path: 'realm audit',
  summary: 'print the audit log of a guest that a realm keeps',
  details: [
    'Checks that each record follows the one before, as audit verify does; problems are reported on standard error, and the exit code is then 4. With --format json, prints the records as written: a file of them can be verified later.',
    'The realm drops a reader that takes nothing for 30 s. To resume, pass the sequence number after the last record as --from.',
  ],
  options: [
    {
      flags: '--from <sequence>',
      description: 'begin with this record (default: the first that the realm has)',
    },
    { flags: '-f, --follow', description: 'keep printing new records, until interrupted' },
    ...filterOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl realm audit -a realm://realm.example/web --cert me.pem --key me.key --realm-ca realm-ca.pem --denied',
      description: 'Prints denied calls in the guest web.',
    },
    {
      line: 'kata-agent-ctl realm audit -f --from 1200 --format json -a realm://realm.example/web --cert me.pem --key me.key --realm-ca realm-ca.pem > more.log',
      description: 'Copies the log from record 1200 on, and continues.',
    },
  ],
  connects: true,
  formats: true,
  run: async (invocation) => {
    const address = realmAddressOf(invocation);
    const from = firstSequence(invocation.options);
    const parameters = [
      ...(from === undefined ? [] : [`from=${from}`]),
      ...(invocation.options.flag('follow') ? ['follow=true'] : []),
    ];
    const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
    const path = guestPath(address, `/audit${query}`);
    const message = await requestRealm(invocation, address, { method: 'GET', path });
    let interrupted = false;
    const stop = (): void => {
      interrupted = true;
      message.destroy();
    };
    invocation.io.signals.on('SIGINT', stop);
    try {
      const records = resumable(linkedRecords(linesOfBody(message), from), () => interrupted);
      return await printRecords(invocation, records, help);
    } finally {
      invocation.io.signals.off('SIGINT', stop);
      message.destroy();
    }
  },
};

const help = 'compare with another copy of the log: the agent or the realm changed or withheld records';

/** Turns the end of the connection into an error that says how to resume. */
async function* resumable(
  records: AsyncIterable<Read>,
  interrupted: () => boolean,
): AsyncGenerator<Read, void> {
  let last = 0;
  try {
    for await (const read of records) {
      if (read.ok) last = read.record.sequence;
      yield read;
    }
  } catch (error) {
    if (interrupted()) return;
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(ExitCode.CannotApply, `the realm's answer ended early: ${reason}`, {
      help: [last === 0 ? 'try again' : `resume with --from ${last + 1}`],
      cause: error,
    });
  }
}
