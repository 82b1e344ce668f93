/** A document with one mistake that people make, and what they meant. */
export interface Mistake {
  readonly title: string;
  readonly wrong: string;
  readonly right: string;
}

/** The mistakes that errors.md shows, each with the message as the loader prints it. A test loads both texts. */
export const mistakes: readonly Mistake[] = [
  {
    title: 'A name of a method that is not quite right',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ExecProces"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n',
  },
  {
    title: 'The name of a request, as Kata’s policies have it',
    wrong: '[api]\nallowed_endpoints = ["@pod", "ReadStreamRequest"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]\n',
  },
  {
    title: 'A pattern',
    wrong: '[api]\nallowed_endpoints = ["@pod", "Read*"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@logs"]\n',
  },
  {
    title: 'A key in the wrong place',
    wrong: 'log_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nlog_level = "debug"\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A value of another type',
    wrong: '[agent]\nhotplug_timeout = "3"\n[api]\nallowed_endpoints = ["@pod"]\n',
    right: '[agent]\nhotplug_timeout = 3\n[api]\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A release without quotes, whose last 0 would be lost',
    wrong: '[api]\nrelease = 3.20\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nrelease = "3.20"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A set that makes no sense',
    wrong: '[api]\nallowed_endpoints = ["@pod", "PauseContainer"]\n',
    right: '[api]\nallowed_endpoints = ["@pod", "@pause"]\n',
  },
  {
    title: 'A list that could grow, under strict',
    wrong: '[api]\nstrict = true\nallowed_endpoints = ["@pod"]\n',
    right: '[api]\nstrict = true\nrelease = "3.21"\nallowed_endpoints = ["@pod"]\n',
  },
  {
    title: 'A field that a request does not have',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.args[0] != "/bin/sh"\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "no-shell"\nendpoints = ["ExecProcess"]\nexpression = \'request.process.Args[0] != "/bin/sh"\'\n',
  },
  {
    title: 'A text compared with a number',
    wrong:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == 5\'\n',
    right:
      '[api]\nallowed_endpoints = ["@pod", "@exec"]\n\n[[api.rule]]\nname = "first"\nendpoints = ["ExecProcess"]\nexpression = \'request.exec_id == "5"\'\n',
  },
];
