/** The program's name, as printed before its messages. */
export const programName = 'kata-agent-ctl';
