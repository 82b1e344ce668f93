import type { Configuration } from '@kata-agent/config';
import { compileGate, PrivilegeGate } from '@kata-agent/gate';
import type { RuleBook } from '@kata-agent/gate/rules';
import type { Judge } from '../test/run-suite.js';

/**
 * Decides as an agent under this configuration would. `book` holds its rules; absent: the lists and what the agent itself
 * refuses are asked.
 */
export function judgeOf(configuration: Configuration, book?: RuleBook): Judge {
  const { listeners } = configuration;
  const gate = compileGate(configuration, { listeners: listeners.map(({ name }) => name) });
  const privileges = new PrivilegeGate(configuration);
  return {
    listeners,
    decide: (method, request, context) => {
      const decision = privileges.decide(gate.decide(context.listener, method), request);
      if (decision.outcome === 'deny' || book?.hasRulesFor(method) !== true) return decision;
      return book.decide(decision, request, { ...context, access: privileges.access });
    },
  };
}
