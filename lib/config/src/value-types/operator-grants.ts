import { guestVerbs } from '@kata-agent/catalogue';
import type { OperatorGrant } from '../listener.js';
import { certificatePeers } from './certificate-peers.js';
import { tableOf } from './table-of.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';
import { verbList } from './verb-list.js';

const example = '{ peers = ["uri:spiffe://example/auditors/*"], verbs = ["connect", "audit"] }';
const what = `a list of tables, [${example}], not empty`;
const entry = tableOf<OperatorGrant>(
  {
    peers: { key: 'peers', type: certificatePeers },
    verbs: { key: 'verbs', type: verbList(guestVerbs, 'only the realm decides about list') },
  },
  example,
  ({ peers, verbs }) => {
    if (peers === undefined) return 'without peers';
    return verbs === undefined ? 'without verbs' : undefined;
  },
);

/** What the operators of a listener may do, by the names of their certificates. */
export const operatorGrants: ValueType<readonly OperatorGrant[]> = {
  name: 'list of tables with peers, verbs',
  schema: { type: 'array', items: entry.schema },
  fromToml(value): Reading<readonly OperatorGrant[]> {
    if (value.kind !== 'array' || value.items.length === 0) return expected(what);
    const entries: OperatorGrant[] = [];
    for (const item of value.items) {
      const reading = entry.fromToml(item);
      if (!reading.ok) return reading;
      const { peers = [], verbs = [] } = reading.value;
      entries.push({ peers, verbs });
    }
    return read(entries);
  },
  fromText: () => expected(what),
  write: (entries) => `[${entries.map((each) => entry.write(each)).join(', ')}]`,
};
