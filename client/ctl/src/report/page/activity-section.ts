import type { Activity, Command, Listed, RemovedMethod } from '../model/activity.js';
import type { VerifiedLog } from '../model/proof.js';
import { html, type Html } from './html.js';
import { table, type TableColumn, timeText } from './table.js';
import { timeline } from './timeline.js';

/** Renders what the agent did, by its audit log. */
export function activitySection(log: VerifiedLog | undefined): Html {
  const title = html`<h2 id="activity">What was done</h2>`;
  if (log === undefined)
    return html`<section aria-labelledby="activity">${title}<p>No audit log was given.</p></section>`;
  const { activity, file } = log;
  const { calls, denied, failed, records, unreadable, removed } = activity;
  const none = (text: string): string =>
    removed === undefined ? `${text}.` : `${text} in the records that are left.`;
  const show = (filter: string): string => `kata-agent-ctl audit show ${file}${filter}`;
  return html`<section aria-labelledby="activity">
${title}
${
  log.report.ok
    ? undefined
    : html`<p class="state failed">The log does not verify: each number and text below may be false.</p>`
}
<p>${calls} calls, of which ${denied} were denied and ${failed} failed otherwise, in ${records} records from ${timeText(activity.from ?? 'no time')} to ${timeText(activity.to ?? 'no time')}. Repeated calls can share one record. Times are in UTC.${
    unreadable === 0 ? undefined : html` ${unreadable} lines of the file are not records.`
  }</p>
${timeline(activity)}
${section('Denied calls', activity.denials, denialColumns, none('No call was denied'), show(' --denied'))}
${activity.recordedOnly.rows.length === 0 ? undefined : section('Served, though a rule that only records would deny it', activity.recordedOnly, denialColumns, '', show(''))}
${section('Callers', activity.peers, peerColumns, none('There were none'), show(''))}
${section('Commands run in containers', activity.execs, execColumns, none('ExecProcess was not called'), show(' --method ExecProcess'))}
${section('Containers and images', activity.containers, containerColumns, none('No container was created'), show(' --method CreateContainer'))}
${section('Methods', activity.methods, methodColumns, none('There were no calls'), show(''))}
${removed === undefined ? undefined : section(`Records 1 to ${removed.last}, which rotation has removed`, removed.methods, removedColumns, 'They had no calls.', show(''))}
${section('Events of the log', activity.events, eventColumns, 'There are none.', show(''))}
</section>`;
}

function section<Row>(
  title: string,
  { rows, beyond }: Listed<Row>,
  columns: readonly TableColumn<Row>[],
  none: string,
  command: string,
): Html {
  return html`<h3>${title}</h3>
${rows.length === 0 ? html`<p>${none}</p>` : table(title, columns, rows, true)}
${
  beyond === 0
    ? undefined
    : html`<p>${beyond} more records are not shown here, which would be further rows of this table. To see them: <code>${command}</code></p>`
}
`;
}

type RowOf<Key extends keyof Activity> = Activity[Key] extends Listed<infer Row> ? Row : never;

const denialColumns: readonly TableColumn<RowOf<'denials'>>[] = [
  { title: 'method', kind: 'heading', cell: ({ method }) => html`<code>${method}</code>` },
  { title: 'count', kind: 'number', cell: ({ count }) => count },
  {
    title: 'rule and reason',
    kind: 'long',
    cell: ({ rule, reason, code }) =>
      html`${rule === undefined ? undefined : html`rule <code>${rule}</code>: `}${reason}${
        code === undefined ? undefined : html`<span class="why">${code}</span>`
      }`,
  },
  {
    title: 'caller',
    cell: ({ peer, listener }) => html`${peer}<span class="why">listener ${listener}</span>`,
  },
  { title: 'container', cell: ({ containerId }) => containerId },
  {
    title: 'first',
    kind: 'time',
    cell: ({ first, sequence }) => html`${timeText(first)}<span class="why">record ${sequence}</span>`,
  },
  { title: 'last', kind: 'time', cell: ({ last }) => timeText(last) },
];

const peerColumns: readonly TableColumn<RowOf<'peers'>>[] = [
  {
    title: 'caller',
    kind: 'heading',
    cell: ({ peer, claimedOperator }) =>
      html`${peer}${
        claimedOperator === undefined
          ? undefined
          : html`<span class="why">operator ${claimedOperator}, as the server claims</span>`
      }`,
  },
  { title: 'listener', cell: ({ listener }) => listener },
  { title: 'calls', kind: 'number', cell: ({ calls }) => calls },
  { title: 'denied', kind: 'number', cell: ({ denied }) => denied },
  { title: 'failed', kind: 'number', cell: ({ failed }) => failed },
  { title: 'execs', kind: 'number', cell: ({ execs }) => execs },
  { title: 'first', kind: 'time', cell: ({ first }) => timeText(first) },
  { title: 'last', kind: 'time', cell: ({ last }) => timeText(last) },
];

const execColumns: readonly TableColumn<RowOf<'execs'>>[] = [
  { title: 'command', kind: 'heading', cell: ({ command }) => commandText(command) },
  { title: 'container', cell: ({ containerId }) => containerId },
  { title: 'user', cell: ({ user }) => user },
  {
    title: 'caller',
    cell: ({ peer, listener }) => html`${peer}<span class="why">listener ${listener}</span>`,
  },
  { title: 'calls', kind: 'number', cell: ({ calls }) => calls },
  { title: 'denied', kind: 'number', cell: ({ denied }) => denied },
  { title: 'first', kind: 'time', cell: ({ first }) => timeText(first) },
  { title: 'last', kind: 'time', cell: ({ last }) => timeText(last) },
];

const containerColumns: readonly TableColumn<RowOf<'containers'>>[] = [
  { title: 'container', kind: 'heading', cell: ({ containerId }) => containerId },
  { title: 'created', kind: 'time', cell: ({ time }) => timeText(time) },
  {
    title: 'image',
    kind: 'long',
    cell: ({ image, verifiedDigest, signatures }) =>
      html`${
        image === undefined ? 'not recorded' : html`${image} <span class="muted">(as the host claims)</span>`
      }${
        verifiedDigest === undefined
          ? undefined
          : html`<span class="why">verified by the guest: ${verifiedDigest}</span>`
      }${signatures.map((signature) => html`<span class="why">signed: ${signature}</span>`)}`,
  },
  { title: 'command', cell: ({ command }) => commandText(command) },
  { title: 'user', cell: ({ user }) => user },
  { title: 'privileges', cell: ({ privileges }) => privileges.join(', ') },
  {
    title: 'secrets asked for',
    cell: ({ secrets, secretCount }) =>
      secretCount > secrets.length
        ? `${secrets.join(', ')} and ${secretCount - secrets.length} more`
        : secrets.join(', '),
  },
  { title: 'result', cell: ({ result }) => result ?? 'not recorded' },
];

const methodColumns: readonly TableColumn<RowOf<'methods'>>[] = [
  { title: 'method', kind: 'heading', cell: ({ method }) => html`<code>${method}</code>` },
  { title: 'calls', kind: 'number', cell: ({ calls }) => calls },
  { title: 'denied', kind: 'number', cell: ({ denied }) => denied },
  { title: 'failed', kind: 'number', cell: ({ failed }) => failed },
];

const removedColumns: readonly TableColumn<RemovedMethod>[] = [
  { title: 'method', kind: 'heading', cell: ({ method }) => html`<code>${method}</code>` },
  { title: 'records', kind: 'number', cell: ({ records }) => records },
  { title: 'denied', kind: 'number', cell: ({ denied }) => denied },
];

const eventColumns: readonly TableColumn<RowOf<'events'>>[] = [
  { title: 'record', kind: 'heading', cell: ({ sequence }) => sequence },
  { title: 'time', kind: 'time', cell: ({ time }) => timeText(time) },
  { title: 'event', cell: ({ kind }) => kind },
  { title: 'what', kind: 'long', cell: ({ text }) => text },
];

function commandText({ kind, words }: Command): Html {
  switch (kind) {
    case 'arguments':
      return html`${words.map((word) => html`<code class="word">${word === '' ? ' ' : word}</code> `)}`;
    case 'program':
      return html`<code class="word">${words[0] ?? ''}</code><span class="why">arguments are recorded with [audit] facts only</span>`;
    case 'not recorded':
      return html`<span class="muted">not recorded</span>`;
  }
}
