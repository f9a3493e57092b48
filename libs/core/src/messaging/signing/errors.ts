import { SagazError } from '../../errors/index.js';
import type { Distrust } from './distrust.js';

/** Messages cannot be signed with the given keys. Neither the error nor its message contains a key. */
export class InvalidSigningKeyError extends SagazError {
  readonly code = 'SAGAZ_INVALID_SIGNING_KEY';

  constructor(
    /** `key 2 of 3 has 12 bytes` */
    readonly problem: string,
    remedy: string,
  ) {
    super(`Messages cannot be signed with the keys in signing: ${problem}.`, remedy);
  }
}

/** A message was not handled, because it is not signed, or not by a holder of the keys. */
export class UntrustedMessageError extends SagazError {
  readonly code = 'SAGAZ_UNTRUSTED_MESSAGE';

  constructor(
    readonly type: string,
    /** The source that the message claims, which may be false. */
    readonly source: string,
    readonly distrust: Distrust,
  ) {
    super(
      `The message '${type}' that names '${source}' as its source was not handled: ${distrust.problem}.`,
      'If its sender is to be trusted, give both sides a key in common (signing: { keys }) and replay the dead letter; if not, find out who may write to the broker.',
    );
  }
}
