/**
 * The exit codes of the command. They are part of its interface, because scripts and deployments depend
 * on them.
 */
export const EXIT_CODE = {
  /** The command succeeded, or there was nothing to do. */
  ok: 0,
  /** The command was tried and failed; the message says why. */
  failed: 1,
  /** The command was not understood, or an option is wrong; nothing was tried. */
  usage: 2,
  /** `status`: migrations are missing, were edited, or are unknown to this version. */
  outdated: 3,
  /** The database could not be reached. */
  unreachable: 4,
} as const;

export type ExitCode = (typeof EXIT_CODE)[keyof typeof EXIT_CODE];
