import type { CodeRow } from './code-row.js';

/** Codes for other files that kata-agent-ctl reads: those of Kata's agent, suites and scenarios. */
export type FileCode =
  | 'KA1901'
  | 'KA1902'
  | 'KA1903'
  | 'KA1904'
  | 'KA1905'
  | 'KA1906'
  | 'KA1907'
  | 'KA2001'
  | 'KA2002'
  | 'KA2003'
  | 'KA2004'
  | 'KA2005'
  | 'KA2006'
  | 'KA2007';

export const fileCodes: Readonly<Record<FileCode, CodeRow>> = {
  KA1901: {
    title: 'nothing to migrate',
    explanation: 'The file given to config migrate is a configuration of this agent already.',
    example: { kind: 'kata', text: '[api]\nallowed_endpoints = ["@pod"]\n' },
    remedy: 'Check it instead: kata-agent-ctl config check FILE.',
  },
  KA1902: {
    title: 'setting is not migrated unchanged',
    explanation: "A setting of the old file is unknown to Kata's agent, has an invalid value, or is rounded.",
    example: { kind: 'kata', text: 'colour = "red"\n' },
    remedy: 'Check the setting in the result, and correct it by hand if needed.',
  },
  KA1903: {
    title: 'entry names no request',
    explanation:
      "An entry of the old list or policy is not the name of a request of the API. Kata's agent ignores the entry, and so does the result.",
    example: { kind: 'kata', text: '[endpoints]\nallowed = ["ExecProcess"]\n' },
    remedy: 'Add the method to allowed_endpoints by hand if it should be served.',
  },
  KA1904: {
    title: 'policy cannot be migrated',
    explanation:
      'A Rego policy has more than defaults. The result omits methods that have Rego rules, so it never serves more than the policy.',
    example: {
      kind: 'kata',
      text: 'package agent_policy\ndefault CreateSandboxRequest := true\nExecProcessRequest { input.x == 1 }\n',
    },
    remedy: 'Write the conditions as [[api.rule]], or generate them: kata-agent-ctl config generate.',
  },
  KA1905: {
    title: 'result serves everything',
    explanation: 'None of the files has a list or a policy, so the result restricts nothing.',
    example: { kind: 'kata', text: 'log_level = "debug"\n' },
    remedy: 'Name the policy of the image too, or begin with kata-agent-ctl config init.',
  },
  KA1906: {
    title: 'result serves nothing',
    explanation: 'The old settings name a policy that was not given, so its allowed methods are unknown.',
    example: { kind: 'kata', text: 'policy_file = "/etc/kata-opa/default-policy.rego"\n' },
    remedy: 'Name the policy too: kata-agent-ctl config migrate FILE POLICY.rego.',
  },
  KA1907: {
    title: 'setting in two files',
    explanation: 'Two of the files given to config migrate have the same setting.',
    example: {
      kind: 'described',
      text: 'kata-agent-ctl config migrate a.toml b.toml    # both set log_level',
    },
    remedy: 'Migrate one file of settings at a time.',
  },
  KA2001: {
    title: 'malformed YAML',
    explanation: 'A suite or scenario cannot be parsed as YAML.',
    example: { kind: 'suite', text: 'tests: [\n' },
    remedy: 'Correct the marked place.',
  },
  KA2002: {
    title: 'unknown key in a suite or scenario',
    explanation: 'The mapping has no such key. A misspelt key would test nothing.',
    example: { kind: 'suite', text: 'test: []\n' },
    remedy: 'Write one of the keys that the help line lists.',
  },
  KA2003: {
    title: 'wrong value in a suite or scenario',
    explanation: 'The value has the wrong type, or is not one of the values of the key.',
    example: { kind: 'suite', text: 'tests:\n- {name: a, method: ExecProcess, expect: maybe}\n' },
    remedy: 'Write a value as in the help line.',
  },
  KA2004: {
    title: 'missing key in a suite or scenario',
    explanation: 'A required key is missing, or a list is empty.',
    example: { kind: 'suite', text: 'tests:\n- {name: a, method: ExecProcess}\n' },
    remedy: 'Add the key that the help line names.',
  },
  KA2005: {
    title: 'unknown method or container in a suite or scenario',
    explanation: 'The API has no method of this name, or the scenario has no container of this name.',
    example: { kind: 'suite', text: 'tests:\n- {name: a, method: ExecProces, expect: deny}\n' },
    remedy: 'Correct the name: kata-agent-ctl endpoints lists the methods.',
  },
  KA2006: {
    title: 'request does not fit its method',
    explanation: 'The request is not the JSON form of the message that the method takes.',
    example: {
      kind: 'suite',
      text: 'tests:\n- {name: a, method: ExecProcess, expect: deny, request: {containr_id: a}}\n',
    },
    remedy: 'Begin with the template: kata-agent-ctl call METHOD --template.',
  },
  KA2007: {
    title: 'test that cannot pass',
    explanation:
      'A case expects an allowed call and names the rule that decides, but no rule decides an allowed call.',
    example: {
      kind: 'suite',
      text: 'tests:\n- {name: a, method: ExecProcess, expect: allow, rule: own}\n',
    },
    remedy: 'Remove the rule, or expect deny or audit.',
  },
};
