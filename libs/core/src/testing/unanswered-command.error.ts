import { SagazError } from '../errors/index.js';

/** A saga under test sent a command that its test does not answer. */
export class UnansweredCommandError extends SagazError {
  readonly code = 'SAGAZ_UNANSWERED_COMMAND';

  constructor(
    /** Type of the command. */
    readonly type: string,
    /** The step whose method, or whose compensation, returned it. */
    readonly step: string,
  ) {
    super(
      `Nobody answers the command '${type}' that '${step}' sent.`,
      'Give the answer with reply(contract, …) before run(), or say leaveUnanswered(contract) when the test is about a reply that never comes.',
    );
  }
}
