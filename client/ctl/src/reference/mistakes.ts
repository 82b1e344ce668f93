/** A document with one frequent mistake, and the corrected document. */
export interface Mistake {
  readonly title: string;
  readonly wrong: string;
  readonly right: string;
}

/** Mistakes in errors.md, each shown with the loader's message. A test loads both documents. */
export const mistakes: readonly Mistake[] = [
  {
    title: 'A misspelt method name',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ExecProces"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n',
  },
  {
    title: 'The name of a request, as in Kata’s policies',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ReadStreamRequest"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]\n',
  },
  {
    title: 'A pattern',
    wrong: '[api]\nallowed_endpoints = ["@pod", "Read*"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@logs"]\n',
  },
  {
    title: 'A key in the wrong section',
    wrong: 'log_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nlog_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A value of the wrong type',
    wrong: '[agent]\nhotplug_timeout = "3"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nhotplug_timeout = 3\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A release without quotes, which loses a trailing 0',
    wrong: '[api]\nrelease = 3.20\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nrelease = "3.20"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'Inconsistent settings',
    wrong: '[api]\nallowed_endpoints = ["@pod", "PauseContainer"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@pause"]\n',
  },
  {
    title: 'A list whose members can change later, with strict',
    wrong: '[api]\nstrict = true\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nstrict = true\nrelease = "3.21"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A field that the request does not have',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.args[0] != "/bin/sh"\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.Args[0] != "/bin/sh"\'\n',
  },
  {
    title: 'A string compared with a number',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == 5\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == "5"\'\n',
  },
];
