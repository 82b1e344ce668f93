import { isMethodName } from '@kata-agent/catalogue';
import type { Evidence, RefusedCalls, Sighting } from './evidence.js';

/** Limits of listed records and requests; others are counted. */
const shown = 3;

/** Returns the denied calls, as a comment for the end of a configuration; empty if there are none. */
export function refusedText({ refused, watched }: Evidence, allowed: boolean): string {
  return [
    ...section(
      allowed
        ? ['Denied in the log, and allowed here as requested:']
        : [
            'Denied in the log, and not allowed here. To allow an endpoint, move its line into allowed_endpoints;',
            'to allow all of it, with rules, learn again with --allow-refused.',
          ],
      refused,
    ),
    ...section(['Allowed, although a rule with enforcement = "audit" would have denied it:'], watched),
  ].join('');
}

function section(title: readonly string[], groups: readonly RefusedCalls[]): readonly string[] {
  if (groups.length === 0) return [];
  return [...title.map((line) => `# ${line}\n`), ...groups.map(line)];
}

function line({ method, rule, reason, facts, sightings }: RefusedCalls): string {
  const name = isMethodName(method) ? `"${method}",` : `${method === '*' ? 'several methods' : method}:`;
  const calls = sightings.reduce((sum, sighting) => sum + sighting.calls, 0);
  const why = rule === undefined ? reason : `rule ${rule}: ${reason}`;
  const requests = facts.slice(0, shown).map((known) => `#     ${oneLine(JSON.stringify(known))}\n`);
  const more = facts.length - requests.length;
  const rest = more > 0 ? `#     and ${more} more requests\n` : '';
  const count = `${calls} call${calls === 1 ? '' : 's'}`;
  return `#   ${oneLine(`${name} # ${count} (${records(sightings)}): ${why}`)}\n${requests.join('')}${rest}`;
}

function records(sightings: readonly Sighting[]): string {
  const named = sightings
    .slice(0, shown)
    .map(({ log, sequence }) => (log === '' ? '' : `${log} `) + sequence);
  const more = sightings.length - named.length;
  return `record${sightings.length === 1 ? '' : 's'} ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Escapes text from a log, so that it cannot end the comment or control a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
