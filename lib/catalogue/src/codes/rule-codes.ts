import type { CodeExample, CodeRow } from './code-row.js';

/** Codes for rules: their expressions and methods. */
export type RuleCode =
  | 'KA1301'
  | 'KA1302'
  | 'KA1303'
  | 'KA1304'
  | 'KA1305'
  | 'KA1306'
  | 'KA1307'
  | 'KA1308'
  | 'KA1309'
  | 'KA1310'
  | 'KA1311'
  | 'KA1312'
  | 'KA1313'
  | 'KA1314'
  | 'KA1315'
  | 'KA1316';

export const ruleCodes: Readonly<Record<RuleCode, CodeRow>> = {
  KA1301: {
    title: 'expression cannot be parsed',
    explanation:
      'The expression of a rule breaks the grammar of CEL: a bracket or quote is not closed, or CEL does not have an operator.',
    example: withRule('ExecProcess', 'terminal = false'),
    remedy: 'Correct the marked place: comparisons are ==, and conditions are joined with && and ||.',
  },
  KA1302: {
    title: 'unknown name in a rule',
    explanation:
      'The expression uses a name that no request has, or that some methods of the rule do not have. The error is reported when the document is loaded, not at a call.',
    example: withRule('ExecProcess', 'devices.size() == 0'),
    remedy:
      'Correct the name, test it with has(name) if only some methods have it, or write a rule for each method. docs/reference/rules.md lists the names.',
  },
  KA1303: {
    title: 'unknown field in a rule',
    explanation:
      'The value has no field of this name. Fields are written as in the .proto files, case included.',
    example: withRule('ExecProcess', 'request.process.args[0] != "/bin/sh"'),
    remedy: 'Write the field as in the help line: request.process.Args.',
  },
  KA1304: {
    title: 'unknown function in a rule',
    explanation:
      'Rules have the functions and macros that docs/reference/rules.md lists, and no access to time.',
    example: withRule('ExecProcess', 'args[0].beginsWith("/bin/")'),
    remedy: 'Use a function of that list, in the form that the help line shows.',
  },
  KA1305: {
    title: 'types do not fit in a rule',
    explanation:
      'An operator, function or index does not accept values of these types. The expression would be false or fail for every request.',
    example: withRule('ExecProcess', 'request.exec_id == 5'),
    remedy: 'Compare values of one type: write a string in quotes, convert with int(…) or uint(…).',
  },
  KA1306: {
    title: 'rule is not a condition',
    explanation:
      'The expression, or an operand of &&, ||, ! or ?:, is not a bool. A request is allowed only if the whole expression is true.',
    example: withRule('ExecProcess', 'args'),
    remedy: 'Compare the value with something, or use its size().',
  },
  KA1307: {
    title: 'comparison that is never true',
    explanation:
      'A value with a fixed set of strings, such as container.state, is compared with a string outside of the set.',
    example: withRule('ExecProcess', 'container.state == "runing"'),
    remedy: 'Write one of the strings that the help line lists.',
  },
  KA1308: {
    title: 'pattern cannot be used',
    explanation:
      'The pattern of matches() is malformed, too large, or not a string literal. Patterns have the syntax of RE2, and are compiled when the document is loaded.',
    example: withRule('ExecProcess', 'args[0].matches("(")'),
    remedy: 'Correct the pattern, and write it as a string literal.',
  },
  KA1309: {
    title: 'expression too large',
    explanation:
      'An expression is too long, has too many parts, or is nested too deeply. The limits bound the time that a decision takes.',
    example: withRule('ExecProcess', `${'('.repeat(60)}terminal${')'.repeat(60)}`),
    remedy: 'Split it into several rules: all rules of a method have to be true.',
  },
  KA1310: {
    title: 'unsupported value in a rule',
    explanation:
      'The expression has a literal or a computation that rules do not support: a fraction, null, a message, a number beyond 64 bits, a division by zero.',
    example: withRule('ExecProcess', '1.5 > 1.0'),
    remedy: 'Use whole numbers, strings and lists, and has() to test whether a message is set.',
  },
  KA1311: {
    title: 'rule without an endpoint',
    explanation: 'The endpoints of a rule are empty, or the release that [api] names has none of them.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "own"\nendpoints = []\nexpression = "true"\n',
    },
    remedy: 'Name the methods of the rule, or remove it.',
  },
  KA1312: {
    title: 'unused rule',
    explanation: 'None of the methods of the rule is served, so the rule has no effect.',
    example: {
      kind: 'document',
      document:
        '[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "own"\nendpoints = ["ExecProcess"]\nexpression = "!terminal"\n',
    },
    remedy: 'Serve one of its methods, or remove the rule.',
  },
  KA1313: {
    title: 'rule about images without a rule about mounts',
    explanation:
      'A rule restricts the image of a container, and no rule restricts mounts. The host can mount other files over those of the image, which the rule does not detect.',
    example: withRule('CreateContainer', 'container.claimed.image == "registry.example/app@sha256:00"'),
    remedy: 'Add a rule about mounts: kata-agent-ctl config generate --pod POD.yaml writes one.',
  },
  KA1314: {
    title: 'rules cannot be checked here',
    explanation:
      'The program that reads the document has no rule checker. An unchecked rule is not reported as valid.',
    example: {
      kind: 'described',
      text: 'a document with [[api.rule]] is given to a reader without a rule checker',
    },
    remedy: 'Check the document with kata-agent-ctl config check.',
  },
  KA1315: {
    title: "rule about the guest's state in forward mode",
    explanation:
      'With [agent] forward another agent has the containers. Rules can use the request, the peer and the listener, but not what this agent would know of existing containers.',
    example: {
      kind: 'document',
      document:
        '[agent]\nforward = "unix:///run/kata-agent-inner/agent.sock"\n[api]\nallowed_endpoints = ["@pod"]\n[[api.rule]]\nname = "few"\nendpoints = ["CreateContainer"]\nexpression = "sandbox.containers.size() < 10"\n',
    },
    remedy: 'Write the rule with names of the request, or leave it out.',
  },
  KA1316: {
    title: 'unknown profile',
    explanation:
      'The document names a profile that this version does not have, or one with another digest. Without its rules every request would pass, so the document does not load.',
    example: {
      kind: 'document',
      document: `[api]\nallowed_endpoints = ["@pod"]\nprofile = "rs-shared-0@sha256:${'0'.repeat(64)}"\n`,
    },
    remedy: 'Generate the document again with this version, or use the version that it was generated for.',
  },
};

function withRule(endpoint: string, expression: string): CodeExample {
  return {
    kind: 'document',
    document: `[api]\nallowed_endpoints = ["@pod", "@exec"]\n[[api.rule]]\nname = "own"\nendpoints = ["${endpoint}"]\nexpression = '${expression}'\n`,
  };
}
