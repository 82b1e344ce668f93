import type { Activity, EventKind, LogEvent } from '../model/activity.js';
import { html, type Html } from './html.js';
import { scrollBox } from './table.js';

const [width, left, right] = [960, 56, 12];
const lanes = { calls: { top: 16, height: 90 }, denied: { top: 122, height: 44 }, events: { top: 188 } };
const height = 222;

/** How events look, so that they differ without colour, and are named in the legend. */
const shapes: Readonly<
  Record<EventKind, { readonly label: string; readonly path: string; readonly class: string }>
> = {
  start: { label: 'start', path: 'M-4,-6 L6,0 L-4,6 Z', class: 'mark' },
  gap: { label: 'gap', path: 'M-5,-5 L5,5 M5,-5 L-5,5', class: 'mark gap' },
  checkpoint: {
    label: 'checkpoint or stored head',
    path: 'M0,-6 L6,0 L0,6 L-6,0 Z',
    class: 'mark checkpoint',
  },
  clock: { label: 'clock set', path: 'M-5,0 A5,5 0 1 0 5,0 A5,5 0 1 0 -5,0 Z', class: 'mark' },
  rotation: { label: 'records removed', path: 'M-5,-5 H5 V5 H-5 Z', class: 'mark' },
  repair: { label: 'repaired', path: 'M-6,5 L0,-6 L6,5 Z', class: 'mark' },
};

/** Draws calls, denials and events by the time of their records; undefined if no record has a time. */
export function timeline({ intervals, events }: Activity): Html | undefined {
  const dated = events.rows.filter(
    (event): event is LogEvent & { readonly at: number } => event.at !== undefined,
  );
  const from = Math.min(...intervals.slice(0, 1).map((one) => one.from), ...dated.map(({ at }) => at));
  const end = Math.max(...intervals.slice(-1).map((one) => one.to), ...dated.map(({ at }) => at));
  if (!Number.isFinite(from)) return undefined;
  const to = Math.max(end, from + 1_000);
  const x = (time: number): number => left + ((time - from) / (to - from)) * (width - left - right);
  const most = (of: 'calls' | 'denied'): number => Math.max(0, ...intervals.map((one) => one[of]));
  const bars = (of: 'calls' | 'denied', className: string): readonly Html[] => {
    const { top, height: most100 } = lanes[of];
    const max = most(of);
    return intervals
      .filter((one) => one[of] > 0)
      .map((one) => {
        const tall = Math.max(2, (one[of] / max) * most100);
        const wide = Math.max(1.5, x(one.to) - x(one.from) - 0.5);
        return html`<rect class="${className}" x="${fixed(x(one.from))}" y="${fixed(top + most100 - tall)}" width="${fixed(wide)}" height="${fixed(tall)}"><title>${isoTime(one.from)}: ${one[of]} ${of}</title></rect>`;
      });
  };
  const text = `Calls, denials and events from ${isoTime(from)} to ${isoTime(to)}. The tables below have the same numbers.`;
  return html`<figure>
${scrollBox(
  'Timeline',
  html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${text}">
${laneAxis('calls', most('calls'))}${bars('calls', 'bar')}
${laneAxis('denied', most('denied'))}${bars('denied', 'denied')}
<text x="0" y="${lanes.events.top + 4}">events</text><path class="axis" d="M${left},${lanes.events.top} H${width - right}"/>
${dated.map((event) => eventMark(event, x(event.at)))}
<text x="${left}" y="${height - 6}">${isoTime(from)}</text><text x="${width - right}" y="${height - 6}" text-anchor="end">${isoTime(to)}</text>
</svg>`,
)}
<figcaption class="muted">Times are those of the guest’s clock, which the host can set. ${legend(dated)}</figcaption>
</figure>`;
}

function laneAxis(name: 'calls' | 'denied', max: number): Html {
  const { top, height: tall } = lanes[name];
  return html`<text x="0" y="${top + tall}">${name}</text><text x="${left - 6}" y="${top + 10}" text-anchor="end">${max === 0 ? '' : max}</text><path class="axis" d="M${left},${top + tall} H${width - right}"/>`;
}

function eventMark({ kind, time, text }: LogEvent, x: number): Html {
  const { path, class: name } = shapes[kind];
  return html`<path class="${name}" transform="translate(${fixed(x)},${lanes.events.top})" d="${path}"><title>${time}: ${text}</title></path>
`;
}

function legend(events: readonly LogEvent[]): readonly Html[] {
  const kinds = [...new Set(events.map(({ kind }) => kind))];
  return kinds.map(
    (kind) =>
      html`<span class="legend"><svg class="key" viewBox="-8 -8 16 16" aria-hidden="true"><path class="${shapes[kind].class}" d="${shapes[kind].path}"/></svg>${shapes[kind].label}</span> `,
  );
}

function fixed(value: number): string {
  return value.toFixed(1);
}

function isoTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime())
    ? `${milliseconds} ms after 1970`
    : time.toISOString().replace('.000Z', 'Z');
}
